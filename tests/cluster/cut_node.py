"""A command beside the head of a Ray cluster whose only node with a CPU is at the other end of a cable.

unshare --net python cut_node.py FILE COMMAND...: the cable is cut while the file exists, and a node that is lost with
it comes back as a new one.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from cut_network import lay, take_up

RAY = str(Path(sys.executable).with_name("ray"))
HEAD = ("--head", "--node-ip-address=10.0.0.1", "--port=6379", "--num-cpus=0", "--include-dashboard=false")
NODE = ("--address=10.0.0.1:6379", "--node-ip-address=10.0.0.2", "--num-cpus=1", "--block")
UNTIL_BOTH_ARE_THERE = """
import ray, time
ray.init("10.0.0.1:6379", log_to_driver=False)
while len(ray.nodes()) < 2:
    time.sleep(0.1)
"""


def ray(*words: str) -> int:
    return subprocess.run([RAY, "start", "--disable-usage-stats", *words], stdout=sys.stderr).returncode


if __name__ == "__main__":
    if command := sys.argv[2:]:
        other_end = ["unshare", "--net", sys.executable, __file__, sys.argv[1]]
        with subprocess.Popen(other_end, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
            lay(far)
            ray(*HEAD)
            subprocess.run([sys.executable, "-c", UNTIL_BOTH_ARE_THERE], check=True)
            code = subprocess.run(command).returncode
            far.kill()
        sys.exit(code)
    take_up(Path(sys.argv[1]))
    while True:
        ray(*NODE)
