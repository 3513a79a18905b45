"""What the repository needs beside the package: a browser to drive, and pictures of the page."""
