"""What is wrong with a cluster, from the looks at its nodes, and the commands that repair it. Pure."""
