import pytest
import torch

from layalign.data.batch import collate

pytestmark = pytest.mark.core

ROWS = {"source_ids": [[1, 2, 3], [4]], "prompt_ids": [[5], [6, 7]], "target_ids": [[8, 9], [10]]}


def test_sources_and_targets_are_padded_right_and_prompts_left():
    batch = collate(ROWS, encoder_pad=-1, decoder_pad=-2)
    assert batch.source_ids.tolist() == [[1, 2, 3], [4, -1, -1]]
    assert batch.source_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.prompt_ids.tolist() == [[-2, 5], [6, 7]]
    assert batch.prompt_mask.tolist() == [[0, 1], [1, 1]]
    assert batch.target_ids.tolist() == [[8, 9], [10, -2]]
    assert batch.target_mask.tolist() == [[1, 1], [1, 0]]


def test_all_tensors_are_int64():
    assert {tensor.dtype for tensor in vars(collate(ROWS, 0, 0)).values()} == {torch.int64}


@pytest.mark.parametrize("nothing", [{}, {"prompt_ids": [[], []], "target_ids": [[], []]}])
def test_without_prompts_and_targets_their_width_is_zero(nothing):
    batch = collate({"source_ids": ROWS["source_ids"], **nothing}, 0, 0)
    for name in ("prompt_ids", "prompt_mask", "target_ids", "target_mask"):
        assert getattr(batch, name).shape == (2, 0)
        assert getattr(batch, name).dtype == torch.int64


def test_one_empty_prompt_beside_another():
    batch = collate(ROWS | {"prompt_ids": [[], [6]]}, 0, 0)
    assert batch.prompt_mask.tolist() == [[0], [1]]


def test_a_batch_moves_whole():
    moved = collate(ROWS, 0, 0).to("meta")
    assert {tensor.device.type for tensor in vars(moved).values()} == {"meta"}
