"""The buildpack of variables and labels that the user gives to the image."""
