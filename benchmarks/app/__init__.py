"""How fast the mesh app answers and what a request costs, on real servers, beside a bare server and two peers."""
