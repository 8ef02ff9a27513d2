import itertools

import numpy as np
import pytest

from spec.errors import UserError
from sw.compress.bits import Reader, Writer
from sw.compress.huffman import CHUNK, Code, code_lengths, entropy_bits

pytestmark = pytest.mark.unit


def fewest_bits(counts: list[int]) -> int:
    """Of all lengths that a prefix code can have (Kraft's inequality), by trying each."""
    used = [count for count in counts if count]
    if len(used) < 2:
        return sum(used)
    return min(
        sum(map(int.__mul__, used, lengths))
        for lengths in itertools.product(range(1, len(used)), repeat=len(used))
        if sum(2**-length for length in lengths) <= 1
    )


def written(code: Code, symbols: np.ndarray) -> bytes:
    writer = Writer()
    code.write(writer)
    assert writer.length == code.table_bits
    writer.put(code.encode(symbols))
    return writer.tobytes()


@pytest.mark.parametrize("symbols", [1, 2, 3, 4, 5])
def test_no_prefix_code_is_shorter(rng, symbols):
    for _ in range(8):
        counts = rng.integers(0, rng.choice([3, 10, 300]), symbols).tolist()
        lengths = code_lengths(np.array(counts))
        assert lengths @ counts == fewest_bits(counts)
        assert ((lengths > 0) == (np.array(counts) > 0)).all()


def test_lengths_stay_within_the_entropy_bounds(rng):
    for alphabet in (2, 16, 300):
        counts = rng.geometric(0.01, alphabet) * rng.integers(0, 2, alphabet) + 1
        bits = Code.of(counts).bits(counts)
        assert entropy_bits(counts) <= bits < entropy_bits(counts) + counts.sum()
    powers = 2 ** np.arange(10)
    assert Code.of(np.append(powers, 1)).bits(np.append(powers, 1)) == pytest.approx(
        entropy_bits(np.append(powers, 1))
    )


def test_codes_are_canonical():
    """The example of RFC 1951, section 3.2.2."""
    code = Code(np.array([3, 3, 3, 3, 3, 2, 4, 4]))
    texts = [f"{value:0{length}b}" for value, length in zip(code.codes, code.lengths, strict=True)]
    assert texts == ["010", "011", "100", "101", "110", "00", "1110", "1111"]


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
@pytest.mark.parametrize("alphabet", [1, 2, 3, 20, 300])
def test_decoding_gives_the_sequence_back(rng, alphabet, count):
    symbols = np.minimum(rng.geometric(0.1, count) - 1, alphabet - 1)
    code = Code.of(np.bincount(symbols))
    data = written(code, symbols)
    assert 8 * len(data) - 8 < code.table_bits + code.bits(np.bincount(symbols)) <= 8 * len(data)
    reader = Reader(data)
    assert np.array_equal(Code.read(reader).decode(reader, count), symbols)


def test_sequences_longer_than_a_chunk_and_codes_of_many_bits(rng):
    """Fibonacci's numbers as counts make the longest codes that there are."""
    counts = [1, 1]
    while len(counts) < 26:
        counts.append(counts[-1] + counts[-2])
    symbols = rng.permutation(np.repeat(np.arange(26), counts))
    code = Code.of(np.array(counts))
    assert code.lengths.max() == 25
    assert code.bits(np.array(counts)) > CHUNK / 2
    symbols = np.concatenate([symbols, symbols, symbols])
    reader = Reader(written(code, symbols))
    assert np.array_equal(Code.read(reader).decode(reader, len(symbols)), symbols)


def test_a_sequence_of_one_symbol_takes_no_bits():
    code = Code.of(np.array([0, 0, 0, 7]))
    assert len(code.encode(np.full(7, 3))) == code.bits(np.array([0, 0, 0, 7])) == 0
    assert code.decode(Reader(b""), 7).tolist() == [3] * 7


@pytest.mark.parametrize("lengths", [[1, 1, 1], [1, 2], [2], [1, 2, 3], [0, 3, 3]])
def test_refuses_lengths_of_no_code(lengths):
    with pytest.raises(UserError, match="no Huffman code has the lengths"):
        Code(np.array(lengths))


def test_refuses_large_alphabets_and_missing_bits():
    with pytest.raises(UserError, match="512 symbols, a table has at most 511"):
        Code(np.full(512, 9))
    code = Code(np.array([1, 2, 2]))
    with pytest.raises(UserError, match="truncated"):
        code.decode(Reader(b"\xff"), 5)
    with pytest.raises(UserError, match="the code has none"):
        Code(np.zeros(3)).decode(Reader(b""), 1)


def test_fields_of_all_widths(rng):
    """Written bit by bit as text, and read back."""
    writer, text, fields = Writer(), "", []
    for _ in range(200):
        width = int(rng.integers(1, 40))
        value = int(rng.integers(0, 1 << width))
        writer.field(value, width)
        text += f"{value:0{width}b}"
        fields.append((value, width))
    values, widths = rng.integers(0, 8, 30), rng.integers(3, 6, 30) * rng.integers(0, 2, 30)
    values[widths == 0] = 0
    writer.varying(values, widths)
    text += "".join(f"{v:0{w}b}" for v, w in zip(values, widths, strict=True) if w)
    for value in (0, 127, 128, 10**12):
        writer.count(value)
    data = writer.tobytes()
    assert "".join(f"{byte:08b}" for byte in data)[: len(text)] == text
    reader = Reader(data)
    assert [reader.field(width) for _, width in fields] == [value for value, _ in fields]
    assert np.array_equal(reader.varying(widths), values)
    assert [reader.count() for _ in range(4)] == [0, 127, 128, 10**12]
    with pytest.raises(UserError, match="the data is truncated"):
        reader.field(40)
