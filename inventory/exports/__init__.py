"""What other tools that know a host's packages export: Ansible's facts, osquery's results."""
