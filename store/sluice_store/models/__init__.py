"""What a prepared model is to the store: an archive of files, and the digest of that tree. Pure."""
