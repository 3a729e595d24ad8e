"""HTTP/1.1 as the Docker API needs it: requests, streamed answers, connections handed over whole."""
