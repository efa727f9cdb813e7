"""What runs the application and collects its traces."""
