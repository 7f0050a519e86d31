"""The character tokenizer."""

from thicket.models.characters import CHARACTERS, character_tokenizer


def test_one_token_a_character_after_the_begin_of_sequence():
    tokenizer = character_tokenizer()
    assert tokenizer("\n 09z")["input_ids"] == [1, 4, 5, 6, 15, 43]
    assert tokenizer("ab", add_special_tokens=False)["input_ids"] == [18, 19]
    assert len(tokenizer) == 4 + len(CHARACTERS) == 44


def test_every_character_comes_back():
    tokenizer = character_tokenizer()
    ids = tokenizer(CHARACTERS)["input_ids"]
    assert len(set(ids)) == 1 + len(CHARACTERS)
    assert tokenizer.decode(ids, skip_special_tokens=True) == CHARACTERS


def test_special_tokens():
    tokenizer = character_tokenizer()
    own = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
    assert own == (0, 1, 2, 3)
    assert tokenizer("aÄ")["input_ids"] == [1, 18, 3]
    assert tokenizer.chat_template is None
