"""Federation: shows this mesh's agents to its peers, and pulls theirs."""
