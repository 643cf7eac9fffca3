"""Written files run by their frameworks and compared with the trial, one module per target."""
