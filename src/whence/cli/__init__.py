"""The command line: thin verbs over the library; results on stdout, all else on stderr."""
