"""Study files: read, overridden, refused with the key at fault, and written back."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reticent.errors import ReticentError, UsageError
from reticent.study import Study, dump_study, load_study, new_study
from reticent.study.file import parse_study
from reticent.study.overrides import apply_overrides, literal
from reticent.study.toml import write_toml


def test_a_file_is_read_with_paths_from_its_own_folder(written: Any) -> None:
    path = written(sites__north={"rows": 600, "file": "north.csv"}, ledger={"url": "sqlite:///book.db"})
    study = load_study(path)
    assert study.sites["north"].file == str(path.parent / "north.csv")
    assert study.ledger.url == f"sqlite:///{path.parent / 'book.db'}"
    assert study.run.directory == str(path.parent / "runs")
    assert study.population("north") == "north"


def test_absolute_paths_and_other_databases_are_left_alone(written: Any) -> None:
    study = load_study(
        written(sites__north={"rows": 6, "site": "/srv/site.toml"}, ledger={"url": "sqlite:///:memory:"})
    )
    assert study.sites["north"].site == "/srv/site.toml"
    assert study.ledger.url == "sqlite:///:memory:"


@pytest.mark.parametrize("changes", [{}, {"release": None}, {"release__metrics": "none"}, "without"])
def test_the_effective_file_reads_back_to_the_same_study(
    written: Any, tmp_path: Any, changes: Any, without: dict[str, Any]
) -> None:
    study = load_study(written(**(without if changes == "without" else changes)))
    (tmp_path / "elsewhere").mkdir()
    effective = tmp_path / "elsewhere" / "effective.toml"
    effective.write_text(dump_study(study))
    assert load_study(effective) == study
    assert dump_study(load_study(effective)) == effective.read_text()


def test_the_effective_file_names_what_is_not_released(study: Any) -> None:
    assert 'metrics = "none"' in dump_study(study(release=None))


def test_the_template_is_a_whole_study(tmp_path: Any) -> None:
    (tmp_path / "wards.toml").write_text(new_study("wards", sites=["a", "b", "c"], rows=90))
    study = load_study(tmp_path / "wards.toml")
    assert list(study.sites) == ["a", "b", "c"]
    assert study.sites["a"].file == str(tmp_path / "a.csv")
    assert study.privacy.claimed
    assert study.data.feature_names == ("age", "height", "smoker=no", "smoker=yes", "smoker=other")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("learning__learning_rat", "write learning_rate in [learning]"),
        ("privcy__unit", "write privacy"),
        ("privacy__target__epsilom", "write epsilon in [privacy.target]"),
        ("learning__max_grad_norm", "write privacy.max_grad_norm"),
        ("release__metrics__evry", "write every in [release.metrics]"),
        ("sites__north__row", "write rows in [sites.north]"),
        ("data__lable", "write label in [data]"),
        ("run__zzz", "known here: deadline, directory, separate_processes in [run]"),
    ],
)
def test_a_misspelt_key_names_the_right_one(written: Any, key: str, meant: str) -> None:
    path = written(**{key: 1})
    with pytest.raises(UsageError) as caught:
        load_study(path)
    assert caught.value.code == "unknown-key"
    named = key.replace("__", ".") if not key.startswith("privcy") else "privcy"
    assert caught.value.message.startswith(f"{path}: {named} is not a known key")
    assert meant in caught.value.hint


def test_a_misspelt_key_of_a_column_says_which_column(table: Any) -> None:
    wrong = table()
    wrong["data"]["columns"][1]["vales"] = wrong["data"]["columns"][1].pop("values")
    with pytest.raises(UsageError, match=r"study.toml: data\.columns\.1\.vales") as caught:
        parse_study(wrong, where="study.toml")
    assert caught.value.hint.startswith("write values")


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("learning__rounds", 0, "learning.rounds is 0"),
        ("learning__rounds", True, "learning.rounds is True"),
        ("learning__rounds", "4", "learning.rounds is '4'"),
        ("learning__learning_rate", math.inf, "learning.learning_rate is inf"),
        ("learning__momentum", 1.0, "learning.momentum is 1.0"),
        ("learning__method", "fedsgd", "learning.method is 'fedsgd'"),
        ("model__factory", "logistic", "model.factory is 'logistic'"),
        ("model__loss", "os.system", "model.loss is 'os.system'"),
        ("sites__no/rth", {"rows": 1}, "sites.no/rth is 'no/rth'"),
        ("sites", {}, "sites is a table"),
        ("privacy__sampling_probability", 0.0, "privacy.sampling_probability is 0.0"),
        ("privacy__guarantee", "dp", "privacy.guarantee is 'dp'"),
        ("study__name", "../up", "study.name is '../up'"),
        ("schema", 2, "schema is 2"),
        ("release__metrics", "all", "release.metrics is 'all'"),
    ],
)
def test_a_wrong_value_is_shown_with_its_key(table: Any, key: str, value: Any, shown: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_study(table(**{key: value}), where="study.toml")
    assert caught.value.code == "invalid-value"
    assert caught.value.message.startswith(f"study.toml: {shown}: ")


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf, "3"])
def test_an_epsilon_that_is_no_positive_number_is_refused(table: Any, epsilon: Any) -> None:
    for wrong in (
        table(privacy__target={"epsilon": epsilon, "delta": 1e-5}),
        table(release__metrics={"every": 0, "epsilon": epsilon}),
    ):
        with pytest.raises(UsageError) as caught:
            parse_study(wrong, where="study.toml")
        assert caught.value.code == "target-epsilon-invalid"
        assert repr(epsilon) in caught.value.message


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("privacy", "add the section [privacy]"),
        ("privacy__guarantee", '"none" with a reason'),
        ("secure_aggregation__protocol", '"plain"'),
        ("privacy__relation", "add_or_remove_one"),
        ("sites__north__rows", "add rows to [sites.north]"),
        ("study__purpose", "add purpose to [study]"),
    ],
)
def test_what_has_no_default_must_be_said(table: Any, key: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_study(table(**{key: None}), where="study.toml")
    assert caught.value.code == "missing-key"
    assert f"study.toml: {key.replace('__', '.')} is missing" in caught.value.message
    assert said in caught.value.hint


def test_a_refusal_of_the_contract_says_in_which_file(table: Any) -> None:
    with pytest.raises(ReticentError, match=r"study\.toml: data: label is 'missing'"):
        parse_study(table(data__label="missing"), where="study.toml")


def test_a_syntax_error_gives_its_line(tmp_path: Any) -> None:
    (tmp_path / "study.toml").write_text('schema = 1\n[study]\nname = "a"\nname = "b"\n')
    with pytest.raises(UsageError, match="line 4"):
        load_study(tmp_path / "study.toml")
    (tmp_path / "study.toml").write_bytes(b'schema = "\xff"')
    with pytest.raises(UsageError, match="byte 10 is not UTF-8"):
        load_study(tmp_path / "study.toml")


# Overrides ---------------------------------------------------------------------------------------------------


def test_overrides_change_the_study_and_only_what_they_name(written: Any) -> None:
    path = written()
    study = load_study(path, {"privacy.target.epsilon": "1", "sites.north.rows": "700", "learning.optimizer": "adam"})
    assert study.privacy.target is not None
    assert (study.privacy.target.epsilon, study.sites["north"].rows, study.learning.optimizer) == (1.0, 700, "adam")
    plain = load_study(path)
    assert study.data == plain.data
    assert study.sites["south"] == plain.sites["south"]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("privacy.target.epsilom", "unknown-key"),
        ("epsilon", "unknown-key"),
        ("privacy.taget.epsilon", "unknown-key"),
        ("sites.nroth.rows", "override-unknown-site"),
        ("study.name.first", "invalid-override"),
        ("study..name", "invalid-override"),
        ("", "invalid-override"),
        ("learning.rounds", "invalid-value"),
    ],
)
def test_an_override_that_nobody_reads_is_an_error(written: Any, key: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_study(written(), {key: "x"})
    assert caught.value.code == code
    assert "--set" in caught.value.message


WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)


@given(section=st.sampled_from(["learning", "privacy", "model", "run", "release", "study"]), word=WORDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_unknown_overrides_never_pass(table: Any, section: str, word: str) -> None:
    known = {name: field.alias or name for name, field in Study.model_fields.items()}
    fields = Study.model_fields[section].annotation
    if word in known or (isinstance(fields, type) and word in getattr(fields, "model_fields", {})):
        return
    key = f"{section}.{word}"
    with pytest.raises(UsageError) as caught:
        parse_study(apply_overrides(table(), {key: "1"}), where="study.toml", overridden={key})
    assert caught.value.code == "unknown-key"
    assert f"--set {key}" in caught.value.message


@given(
    epsilon=st.floats(min_value=0.6, max_value=1e6),
    rounds=st.integers(1, 10**6),
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,20}\Z"),
    purpose=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_known_overrides_arrive_as_they_were_meant(
    table: Any, epsilon: float, rounds: int, name: str, purpose: str
) -> None:
    """Numbers arrive as numbers, texts as texts, whatever they spell, and the written file keeps them."""
    quoted = write_toml({"v": purpose}).removeprefix("v = ").rstrip("\n")
    overrides = {
        "privacy.target.epsilon": repr(epsilon),
        "learning.rounds": str(rounds),
        "study.name": f'"{name}"',
        "study.purpose": quoted,
    }
    before = table()
    kept = copy.deepcopy(before)
    study = parse_study(apply_overrides(before, overrides), where="study.toml")
    assert before == kept
    assert study.privacy.target is not None
    assert (study.privacy.target.epsilon, study.learning.rounds) == (epsilon, rounds)
    assert (study.study.name, study.study.purpose) == (name, purpose)
    assert parse_study(tomllib.loads(dump_study(study)), where="again") == study


def test_an_override_cannot_smuggle_in_more_keys() -> None:
    assert literal("1\nreason = 2") == "1\nreason = 2"
    assert literal("'x'\n[privacy]") == "'x'\n[privacy]"


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(table=st.dictionaries(st.text(), VALUES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_as_toml_reads_back_the_same(table: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(table)) == table


def test_the_room_is_torch_free_and_keeps_its_heavy_imports_for_later() -> None:
    """In a fresh interpreter, since this one has loaded more."""
    heavy = ("torch", "pandas", "dp_accounting", "sqlalchemy", "matplotlib", "scipy")
    script = f"import sys, reticent.study; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
