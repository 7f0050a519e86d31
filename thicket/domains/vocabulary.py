"""What made prompts are about: requests, topics, and the words and marks that their instructions ask for."""

FORMS = (
    "Write a short paragraph about {topic}.",
    "Write a few lines to a friend about {topic}.",
    "Tell a very short story about {topic}.",
    "Explain to a child what matters about {topic}.",
    "Write a short poem about {topic}.",
    "Give some advice about {topic}.",
)
TOPICS = (
    "a lost umbrella",
    "the sea in winter",
    "learning to cook",
    "a long train journey",
    "an old oak tree",
    "the first day of school",
    "keeping bees",
    "a walk in the rain",
    "repairing a bicycle",
    "the night sky",
    "a village market",
    "growing tomatoes",
    "a stray cat",
    "moving to a new town",
    "baking bread",
    "a stone bridge",
    "playing the piano",
    "a small library",
    "a football match",
    "a winter coat",
    "camping in the mountains",
    "a broken clock",
    "sleeping well",
    "a lighthouse",
    "a birthday party",
    "a muddy dog",
    "making new friends",
    "a rainy holiday",
    "painting a fence",
    "a visit to the dentist",
)
WORDS = (
    "morning",
    "friend",
    "river",
    "window",
    "garden",
    "letter",
    "music",
    "story",
    "people",
    "light",
    "water",
    "home",
    "road",
    "summer",
    "yellow",
    "quiet",
)
FORBIDDEN = (
    "the",
    "very",
    "and",
    "good",
    "great",
    "people",
    "time",
    "day",
    "first",
)
"""Words that a response would hold unless it is told not to."""
LETTERS = "bdfgkmpvwy"
"""Letters that are neither rare nor everywhere."""
HEADINGS = (
    "SECTION",
    "PART",
)
POSTSCRIPTS = (
    "P.S.",
    "P.P.S",
)
ENDINGS = (
    "That is all.",
    "Thank you for reading.",
    "I hope this helps.",
    "See you soon.",
    "Take care.",
)
