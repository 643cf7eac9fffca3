"""Training one student: its loss, optimizer, schedule, step, memory format and the teacher's batches."""
