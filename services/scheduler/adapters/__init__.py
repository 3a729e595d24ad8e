"""What the scheduler does outside of itself."""
