"""The language model: any HTTP endpoint that speaks OpenAI's protocol, or the built-in echo."""
