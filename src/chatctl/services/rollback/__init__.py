"""Back to where a run began: data, then schema, then Redis, then environment."""
