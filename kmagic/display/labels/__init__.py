"""Cards of probably wrong labels."""
