"""What a word is, and what counts as alike, in any script; nothing is dropped without its number being said."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.sdk.dataset import SPLITS, read_split
from workloads.sdk.kits.parameters import SplitParameters
from workloads.sdk.kits.tables import examine
from workloads.sdk.kits.tables.columns import Text
from workloads.sdk.kits.texts.duplicates import groups, shingles, similarity, unlike
from workloads.sdk.kits.texts.texts import Texts
from workloads.sdk.kits.words import alike, length, words

# Pieces of texts, and what stands between them.
SCRIPTS: dict[str, tuple[str, str]] = {
    "russian": ("насос котёл датчик вентиль мотор экран провод клапан фильтр счётчик шумит течёт молчит гаснет", " "),
    "arabic": ("المضخة الغلاية الحساس الصمام المحرك الشاشة تسرب صوت اليوم أمس المطبخ المرآب مكسور يعمل", " "),
    "hindi": ("पानी पंप मोटर दीवार रसोई गर्म ठंडा टूटा आवाज़ आज कल फिर कमरा छत", " "),
    "greek": ("αντλία λέβητας αισθητήρας βαλβίδα οθόνη καλώδιο φίλτρο σήμερα χθες κουζίνα ζεστό κρύο", " "),
    "chinese": ("水 泵 锅 炉 传 感 器 阀 门 电 机 屏 幕 坏 了 漏 声 音 很 大 昨 天 今 晚 上 厨 房", ""),
    "thai": ("น้ำ ปั๊ม หม้อ รั่ว เสีย ดัง ร้อน เย็น วันนี้ เมื่อวาน ครัว ห้อง หลังคา", ""),
    "emoji": ("😀 😂 🎉 👍 👎 🔥 💧 🚿 🔧 🚗 🏠 🌧 ☀️ ❤️ 🐶 🐱", ""),
    "digits": ("183 3024 5361 8435 4050 21 7406 225 3144 9722 627 1376 9828", " "),
    "english": ("pump boiler sensor valve motor screen wire filter hot cold kitchen yard today again", " "),
}  # fmt: skip


def texts_of(script: str, count: int = 200) -> list[str]:
    """Different texts of ten pieces each."""
    draw, (pieces, between) = random.Random(3), SCRIPTS[script]
    found: dict[str, None] = {}
    while len(found) < count:
        found[between.join(draw.choices(pieces.split(), k=10))] = None
    return list(found)


def kept(folder: Path) -> list[str]:
    return [text for name in SPLITS for text in read_split(folder / f"{name}.parquet")["text"].to_pylist()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_different_texts_of_any_script_are_different_rows(script: str, tmp_path: Path) -> None:
    texts = texts_of(script)
    targets = ["ab"[at % 2] for at in range(200)]
    Texts(classes=["a", "b"]).split(texts, targets, SplitParameters(), tmp_path)
    found = json.loads((tmp_path / "findings.json").read_text())
    gone = found["near_duplicates_dropped"] + found["dropped_since_alike_with_another_target"]
    assert len(kept(tmp_path)) == 200 - gone
    assert gone < 10, found  # pieces are drawn at random, so few are nearly alike


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "digits"])
def test_texts_alike_but_for_digits_and_signs_are_near_duplicates_in_any_script(script: str) -> None:
    texts = texts_of(script, 5)
    assert groups([*texts, *(f"{text} 17!" for text in texts)]) == [[at, at + 5] for at in range(5)]


def test_a_vowel_sign_makes_another_word() -> None:
    assert words("की कि") == ["की", "कि"]
    assert shingles("की") != shingles("कि")
    assert similarity(shingles("cafe\u0301 au lait"), shingles("café au lait")) == 1


def test_words_of_scripts_without_spaces_and_emoji_stand_alone() -> None:
    assert words("The PUMP_2 is broken, again") == ["the", "pump_2", "is", "broken", "again"]
    assert words("水泵坏了 ok👍🏽!") == ["水", "泵", "坏", "了", "ok", "👍"]
    assert words("❤️❤") == ["❤", "❤"]
    assert length("水泵坏了") == 4
    assert length("well-known state-of-the-art") == 2
    assert alike("route 66") == ["route"]
    assert alike("12 + 5") == ["12", "+", "5"]


@given(st.text(min_size=1).map(str.strip).filter(bool))
def test_any_text_has_words_by_which_it_is_alike_to_itself_alone_or_not(text: str) -> None:
    assert alike(text)
    assert similarity(shingles(text), shingles(text)) == 1


@given(st.text(st.characters(codec="ascii")))
def test_ascii_words_are_what_they_were(text: str) -> None:
    import re

    assert words(text) == re.findall(r"\w+", text.lower())


def test_what_is_dropped_is_counted_and_the_reason_of_an_empty_split_is_said(tmp_path: Path) -> None:
    texts = texts_of("russian", 60)
    found = unlike([*texts, texts[0], texts[1]], [*("a" * 60), "a", "b"])
    assert (len(found.first), found.repeated, found.contrary) == (59, 1, 2)
    with pytest.raises(ValueError, match="of 60 texts 0 are dropped as near-duplicates of others, and 60 that"):
        Texts(classes=["a", "b"]).split([texts[0]] * 60, ["a", "b"] * 30, SplitParameters(), tmp_path)


def test_a_file_of_texts_is_told_with_what_will_be_dropped(tmp_path: Path) -> None:
    texts = [*texts_of("russian", 100), *texts_of("english", 100)]
    rows = [(text, "ab"[at % 2]) for at, text in enumerate(texts)]
    rows += [(texts[2], "a"), (texts[3], "a")]
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "target"), *rows])
    found = examine.texts(tmp_path / "rows.csv", "target", "classification")
    assert found.alike >= 1
    assert found.contrary >= 2
    assert found.rows + found.alike + found.contrary == 202
    assert found.columns[0].becomes == "read, word by word"


@pytest.mark.parametrize("script", ["russian", "hindi", "chinese", "emoji"])
def test_a_column_of_texts_is_counted_by_words_of_its_script(script: str) -> None:
    one, other = texts_of(script, 2)
    numbers = np.stack(Text(64).numbers(np.asarray([one, other, one], object)), axis=1)
    assert (numbers[0] == numbers[2]).all()
    assert (numbers[0] != numbers[1]).any()
    assert np.expm1(numbers[0]).sum() == pytest.approx(2 * len(words(one)) - 1, abs=1e-3)
