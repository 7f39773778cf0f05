"""N:M groups and whole units keep exactly as many as were asked for, the best ones, and stay 0 in
training.
"""

import random
import time
from pathlib import Path

import pytest
import torch
from engine_support import Recorder, adapter, fresh_root, spec, train_work, trial, weights
from pruner_support import score_round
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.masks.densities import densities
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scores import Masks, Scores, Shapes
from sparse_adapter_engine.modules import forms as adapter_forms
from sparse_adapter_engine.modules.layout import layout

GLOBAL, LOCAL = job_pb2.PRUNE_SCOPE_GLOBAL, job_pb2.PRUNE_SCOPE_LOCAL
LINEAR = job_pb2.PRUNE_SCHEDULE_LINEAR
INVERTED, SHUFFLED = job_pb2.MASK_CONTROL_INVERTED, job_pb2.MASK_CONTROL_SHUFFLED


def n_m(kept: int, size: int, pruner: str = "snip", **fields: object) -> job_pb2.Prune:
    values: dict[str, object] = {
        "pruner": f"PRUNER_{pruner.upper()}",
        "sparsity": 1 - kept / size,
        "scope": LOCAL,
        "rounds": 1,
    }
    return job_pb2.Prune(
        **values
        | {"structure": "MASK_STRUCTURE_N_M", "group_size": size, "group_kept": kept}
        | fields
    )


def units(
    sparsity: float, scope: int = GLOBAL, pruner: str = "snip", **fields: object
) -> job_pb2.Prune:
    values: dict[str, object] = {
        "pruner": f"PRUNER_{pruner.upper()}",
        "sparsity": sparsity,
        "scope": scope,
        "rounds": 1,
    }
    return job_pb2.Prune(**values | {"structure": "MASK_STRUCTURE_UNITS"} | fields)


def make_masks(prune: job_pb2.Prune, seed: int, scores: Scores) -> Masks:
    pruning = Pruning(prune, seed, list_shapes(scores))
    pruning.keep(scores)
    return pruning.finished()


def list_shapes(tensors: dict[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def scores_with_ties(shapes: Shapes, distinct: int, draw: torch.Generator) -> Scores:
    """Whole numbers below `distinct`, both signs, so that few of them make many ties; never all
    equal.
    """
    scores = {
        name: torch.randint(-distinct, distinct, shape, generator=draw).float()
        for name, shape in shapes.items()
    }
    for score in scores.values():
        score.view(-1)[0] = 100 * distinct
    return scores


def module_shapes(widths: list[int], hidden: list[int]) -> Shapes:
    shapes: Shapes = {}
    for index, (r, d) in enumerate(zip(widths, hidden, strict=True)):
        shapes |= {
            f"layers.{index}.ffn.down.weight": (r, d),
            f"layers.{index}.ffn.up.weight": (d, r),
        }
    return shapes


def test_every_group_keeps_exactly_n_of_its_highest_for_hundreds_of_random_shapes_and_ties() -> (
    None
):
    draw, torch_draw = random.Random(1), torch.Generator().manual_seed(1)
    for case in range(300):
        size = draw.choice([2, 3, 4, 8, 16])
        kept = draw.randint(1, size - 1)
        shapes = module_shapes(
            [size * draw.randint(1, 4) for _ in range(2)],
            [size * draw.randint(1, 6) for _ in range(2)],
        )
        scores = scores_with_ties(shapes, draw.choice([1, 2, 10, 10**6]), torch_draw)
        for control, sign in ((0, 1), (INVERTED, -1)):
            masks = make_masks(n_m(kept, size, control=control), case, scores)
            for name, (rows, columns) in shapes.items():
                assert masks[name].shape == (rows, columns)
                assert masks[name].dtype == torch.uint8
                for mask, score in zip(
                    masks[name].tolist(), (sign * scores[name]).tolist(), strict=True
                ):
                    for first in range(0, columns, size):
                        group = list(
                            zip(
                                mask[first : first + size], score[first : first + size], strict=True
                            )
                        )
                        assert sum(one for one, _ in group) == kept
                        assert min(value for one, value in group if one) >= max(
                            value for one, value in group if not one
                        )


def test_a_matrix_of_768_by_768_is_masked_in_milliseconds() -> None:
    scores = {"a.down.weight": torch.rand(768, 768), "a.up.weight": torch.rand(768, 768)}
    begin = time.process_time()
    make_masks(n_m(2, 4), 1, scores)
    # A matrix takes about 30 ms of a core.
    assert time.process_time() - begin < 0.5


def test_ties_within_a_group_go_by_the_seed() -> None:
    scores = {"a.down.weight": torch.zeros(64, 64), "a.up.weight": torch.zeros(64, 64)}
    for score in scores.values():
        # One group ranks; the others' weights are all equal, as those of dead units are.
        score[0, 0] = 1
    one, again, other = (make_masks(n_m(2, 4), seed, scores) for seed in (1, 1, 2))
    for name, mask in one.items():
        assert torch.equal(mask, again[name])
        assert not torch.equal(mask, other[name])
        assert mask[0, 0] == 1
        # Each place of a group is kept as often as another: of 1024 groups about half.
        assert all(400 < int(places) < 624 for places in mask.view(-1, 4).sum(0))
    assert not torch.equal(one["a.down.weight"], one["a.up.weight"])


def test_an_inverted_group_keeps_what_the_other_would_remove_where_half_is_kept() -> None:
    scores = scores_with_ties(module_shapes([8], [24]), 2, torch.Generator().manual_seed(2))
    plain, inverted = (
        make_masks(n_m(2, 4, control=control), 5, scores) for control in (0, INVERTED)
    )
    assert all(
        torch.equal(plain[name] + inverted[name], torch.ones_like(plain[name])) for name in plain
    )


def test_shuffled_groups_keep_n_of_m_at_places_drawn_by_the_seed() -> None:
    scores = {"a.down.weight": torch.rand(32, 64), "a.up.weight": torch.rand(64, 32)}
    plain = make_masks(n_m(1, 4), 1, scores)
    shuffled, again, other = (
        make_masks(n_m(1, 4, control=SHUFFLED), seed, scores) for seed in (1, 1, 2)
    )
    for name in scores:
        assert bool((shuffled[name].view(-1, 4).sum(1) == 1).all())
        assert torch.equal(shuffled[name], again[name])
        assert not torch.equal(shuffled[name], other[name])
        # By chance a quarter of 512 groups has its weight where it was.
        assert 80 < int((shuffled[name] & plain[name]).sum()) < 180


def test_a_matrix_whose_scores_are_all_equal_fails_the_trial_but_random_ones_do_not() -> None:
    scores = {"a.down.weight": torch.rand(8, 8), "a.up.weight": torch.zeros(8, 8)}
    with pytest.raises(
        TrialFailed, match=r"mag: all 64 scores of a\.up\.weight are 0.*take init: gaussian$"
    ) as failed:
        make_masks(n_m(2, 4, "mag"), 1, scores)
    assert failed.value.reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK
    assert int(make_masks(n_m(2, 4, "rand"), 1, scores)["a.up.weight"].sum()) == 32


def test_a_groups_scores_that_are_not_finite_fail_the_trial() -> None:
    scores = {"a.down.weight": torch.rand(4, 4), "a.up.weight": torch.rand(4, 4)}
    scores["a.up.weight"][1, 2] = float("nan")
    with pytest.raises(
        TrialFailed, match=r"snip: 1 of 16 scores of a\.up\.weight are NaN or infinite"
    ) as failed:
        make_masks(n_m(2, 4), 1, scores)
    assert failed.value.reason == event_pb2.FAILURE_REASON_NON_FINITE


def test_columns_that_are_no_multiple_of_m_fail_the_trial() -> None:
    with pytest.raises(
        TrialFailed,
        match=r"prune\.group_size: 4 does not divide the 6 columns of layers\.0\.ffn\.up\.weight",
    ):
        Pruning(n_m(2, 4), 1, module_shapes([6], [8]))


@pytest.mark.parametrize("scope", [GLOBAL, LOCAL])
def test_units_are_kept_whole_exact_and_by_the_sum_of_their_scores(scope: int) -> None:
    draw, torch_draw = random.Random(3), torch.Generator().manual_seed(3)
    for case in range(200):
        count = draw.randint(1, 4)
        hidden = (
            [draw.randint(2, 12)] * count
            if scope == GLOBAL
            else [draw.randint(2, 12) for _ in range(count)]
        )
        shapes = module_shapes([draw.randint(2, 20) for _ in range(count)], hidden)
        scores = scores_with_ties(shapes, draw.choice([1, 3, 10**6]), torch_draw)
        sparsity = draw.choice([0.1, 0.25, 0.5, draw.uniform(0, 0.6)])
        for control, sign in ((0, 1), (INVERTED, -1)):
            masks = make_masks(units(sparsity, scope, control=control), case, scores)
            found, kept = by_unit(shapes, scores, masks)
            for modules in [list(found)] if scope == GLOBAL else [[module] for module in found]:
                score = sign * torch.tensor(
                    [value for module in modules for value in found[module]]
                )
                mask = torch.tensor([value for module in modules for value in kept[module]])
                assert int(mask.sum()) == int((1 - sparsity) * mask.numel() + 0.5)
                assert mask.all() or score[mask].min() >= score[~mask].max()


def by_unit(
    shapes: Shapes, scores: Scores, masks: Masks
) -> tuple[dict[str, list[float]], dict[str, list[bool]]]:
    """Scores and masks of each module's units, one by one.

    A unit that is not kept or removed whole is an error.
    """
    found: dict[str, list[float]] = {}
    kept: dict[str, list[bool]] = {}
    for down, up in ((name, name.replace("down", "up")) for name in shapes if "down" in name):
        for unit in range(shapes[down][0]):
            own = torch.cat([masks[down][unit], masks[up][:, unit]])
            assert own.min() == own.max()
            found.setdefault(down, []).append(
                float(scores[down][unit].double().sum() + scores[up][:, unit].double().sum())
            )
            kept.setdefault(down, []).append(bool(own[0]))
    return found, kept


def test_ties_of_units_go_by_the_seed() -> None:
    scores = {"a.down.weight": torch.ones(40, 4), "a.up.weight": torch.ones(4, 40)}
    scores["a.down.weight"][0] = 2
    one, again, other = (
        make_masks(units(0.5), seed, scores)["a.down.weight"] for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_sums_of_units_are_taken_in_float64() -> None:
    # In float32, 1 + 1e-8 is 1, and the units would be tied.
    down = torch.tensor([[1.0, 0.0], [1.0, 1e-8], [1.0, 0.0]])
    masks = make_masks(units(0.6), 1, {"a.down.weight": down, "a.up.weight": torch.zeros(2, 3)})
    assert masks["a.down.weight"][:, 0].tolist() == [0, 1, 0]


def test_rounds_of_units_are_nested_exact_and_do_not_look_at_what_was_removed() -> None:
    shapes, torch_draw = module_shapes([10, 6], [4, 4]), torch.Generator().manual_seed(4)
    prune = units(0.75, rounds=4, schedule=LINEAR)
    pruning = Pruning(prune, 1, shapes)
    for density in densities(prune):
        before = pruning.masks
        scores = {name: torch.rand(shape, generator=torch_draw) for name, shape in shapes.items()}
        pruning.keep(
            {
                name: torch.where(before[name] == 1, score, float("nan"))
                for name, score in scores.items()
            }
        )
        after = pruning.masks
        assert not any((after[name] & ~before[name] & 1).any() for name in shapes)
        _, kept = by_unit(shapes, scores, after)
        assert sum(map(sum, kept.values())) == int(density * 16 + 0.5)
    assert pruning.done


@pytest.mark.parametrize("done", [0, 1, 2])
def test_rounds_of_units_that_go_on_from_masks_are_as_if_uninterrupted(done: int) -> None:
    shapes, torch_draw = module_shapes([10, 6], [4, 4]), torch.Generator().manual_seed(5)
    prune = units(0.75, rounds=3, schedule=LINEAR)
    rounds = [scores_with_ties(shapes, 1, torch_draw) for _ in range(3)]
    whole, taken_up = Pruning(prune, 1, shapes), Pruning(prune, 1, shapes)
    for scores in rounds[:done]:
        whole.keep(scores)
    taken_up.go_on(whole.masks, done)
    for scores in rounds[done:]:
        assert not taken_up.keeps_all
        whole.keep(scores)
        taken_up.keep(scores)
    assert taken_up.done
    assert all(
        torch.equal(taken_up.finished()[name], mask) for name, mask in whole.finished().items()
    )


def test_groups_go_on_from_their_masks() -> None:
    scores = {"a.down.weight": torch.rand(4, 8), "a.up.weight": torch.rand(8, 4)}
    whole = Pruning(n_m(2, 4), 1, list_shapes(scores))
    whole.keep(scores)
    taken_up = Pruning(n_m(2, 4), 1, list_shapes(scores))
    assert not taken_up.keeps_all
    taken_up.go_on(whole.masks, 1)
    assert taken_up.done
    assert all(torch.equal(taken_up.masks[name], mask) for name, mask in whole.masks.items())


def test_shuffled_units_are_as_many_of_each_module_at_places_drawn_by_the_seed() -> None:
    shapes = module_shapes([40, 30], [4, 4])
    scores = {
        name: torch.rand(shape) + (index > 1) for index, (name, shape) in enumerate(shapes.items())
    }
    plain = make_masks(units(0.5), 1, scores)
    shuffled, again, other = (
        make_masks(units(0.5, control=SHUFFLED), seed, scores) for seed in (1, 1, 2)
    )
    by_unit(shapes, scores, shuffled)
    for name in shapes:
        assert int(shuffled[name].sum()) == int(plain[name].sum())
        assert torch.equal(shuffled[name], again[name])
    assert not torch.equal(shuffled["layers.0.ffn.down.weight"], plain["layers.0.ffn.down.weight"])
    assert not torch.equal(shuffled["layers.0.ffn.down.weight"], other["layers.0.ffn.down.weight"])


def test_a_random_score_is_one_draw_a_unit() -> None:
    shapes = module_shapes([12, 12], [5, 5])
    prune = units(0.5, pruner="rand")
    scores, pruning = score_round(prune, 7, shapes), Pruning(prune, 7, shapes)
    draws = set()
    for down, up in ((name, name.replace("down", "up")) for name in shapes if "down" in name):
        for unit in range(12):
            own = torch.cat([scores[down][unit], scores[up][:, unit]])
            assert own.min() == own.max()
            draws.add(float(own[0]))
    assert len(draws) == 24
    pruning.keep(scores)
    assert (
        int(
            pruning.masks["layers.0.ffn.down.weight"].sum()
            + pruning.masks["layers.1.ffn.down.weight"].sum()
        )
        == 12 * 5
    )


def test_a_sparsity_that_keeps_no_unit_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match=r"keeps none of the 4 units of layers\.0\.ffn"):
        Pruning(units(0.9, LOCAL), 1, module_shapes([4, 30], [8, 8]))


def test_units_whose_scores_are_all_equal_fail_the_trial() -> None:
    shapes = module_shapes([4, 4], [8, 8])
    with pytest.raises(
        TrialFailed, match=r"snip: all 4 scores of layers\.0\.ffn are 8, so they rank nothing"
    ):
        make_masks(
            units(0.5, LOCAL), 1, {name: torch.full(shape, 0.5) for name, shape in shapes.items()}
        )


def test_units_of_unequal_size_are_compared_within_their_modules_only() -> None:
    shapes = {
        "query.down.weight": (4, 8),
        "query.up.weight": (8, 4),
        "ffn_in.down.weight": (4, 8),
        "ffn_in.up.weight": (32, 4),
    }
    with pytest.raises(
        TrialFailed,
        match=r"prune\.scope: is GLOBAL.*query has 16 weights, one of ffn_in 40: it is LOCAL",
    ):
        Pruning(units(0.5), 1, shapes)
    assert Pruning(units(0.5, LOCAL), 1, shapes).masks.keys() == shapes.keys()


@pytest.mark.parametrize("attention", ["none", "sequential", "parallel", "lora", "prefix"])
@pytest.mark.parametrize("ffn", ["none", "sequential", "after_norm", "lora"])
def test_a_requests_matrices_are_those_of_the_adapter(
    attention: str, ffn: str, tiny_roberta: Path
) -> None:
    form = adapter(attention, ffn, width=3)
    form.ffn_bottleneck = 5
    backbone = load_encoder(str(tiny_roberta), torch.device("cpu"))
    expected = layout(form, backbone, 2).prunable_shapes
    found = adapter_forms.matrices(form, backbone.hidden, backbone.hidden, backbone.inner)
    assert {
        f"layers.{layer}.{name}": shape for layer in range(2) for name, shape in found.items()
    } == expected


def structured(trial_id: str, prune: job_pb2.Prune, **fields: object) -> job_pb2.Trial:
    made = trial(trial_id, total_steps=3)
    made.prune.MergeFrom(job_pb2.Prune(scoring_rows=24, **fields))
    made.prune.MergeFrom(prune)
    return made


def test_a_cohort_of_structures_is_pruned_and_its_removed_weights_stay_zero(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    trials = [
        structured("two-of-four", n_m(2, 4)),
        structured("one-of-eight", n_m(1, 8, "mag", control=INVERTED)),
        structured("units", units(0.75, rounds=3), schedule=LINEAR),
        structured("flow", units(0.5, LOCAL, "synflow", rounds=5), schedule=LINEAR),
        structured("rand", units(0.5, LOCAL, "rand")),
        structured(
            "units-in-training", units(0.5, pruner="mag", rounds=2, every_steps=1), schedule=LINEAR
        ),
        structured("groups-in-training", n_m(2, 4, every_steps=1, begin_step=1)),
        structured("lora", units(0.5, LOCAL)),
    ]
    trials[-1].adapter.CopyFrom(adapter("lora", "lora", width=4))
    root, told = fresh_root(cola, tmp_path / "root"), Recorder()
    Engine(root, threads=1).run(spec(backbone_path, trials, prune=job_pb2.PruneWork()), told)
    trained_so = Recorder()
    Engine(root, threads=1).run(spec(backbone_path, trials, train=train_work()), trained_so)
    assert told.failures == trained_so.failures == {}
    for one in trials:
        during = one.prune.every_steps > 0
        folder = root / "trials" / one.trial_id
        masks = load_file((folder / "adapter" if during else folder) / "masks.safetensors")
        n, kept = (
            sum(mask.numel() for mask in masks.values()),
            sum(int(mask.sum()) for mask in masks.values()),
        )
        assert kept == round(n * (1 - one.prune.sparsity))
        result = (trained_so if during else told).results[one.trial_id]
        assert result["achieved_sparsity"] == pytest.approx(one.prune.sparsity)
        assert result["kept"] == kept + result["trainable"] - n
        trained = weights(root, one.trial_id)
        for name, mask in masks.items():
            assert not trained[name][mask == 0].any()
            assert trained[name][mask == 1].all()
