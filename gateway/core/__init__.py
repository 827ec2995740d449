"""The pure vocabulary every room shares: values only, standard library only, no input or output."""
