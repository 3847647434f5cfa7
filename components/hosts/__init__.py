"""Where the machines come from: one module per host driver."""
