"""Training one model on several processes, machines or GPUs."""
