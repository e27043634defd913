"""Everything that speaks to Asterisk from our side: AMI, and what we write into its configuration."""
