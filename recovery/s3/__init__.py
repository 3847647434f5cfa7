"""Objects in one bucket and its second site: leases, locks, encryption."""
