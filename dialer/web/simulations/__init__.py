"""What a project would come to: simulations."""
