"""The library's promises about framing and arguments, with inputs that hypothesis makes, on both interpreters."""
import json

from hypothesis import example, given
from hypothesis import strategies as st
from test_targets import many

SIZE = 16       # the same as in socket_targets

texts = st.text(st.sampled_from('ab\r\n\n\xc3\xa9\xff'), max_size=3 * SIZE) | st.builds(
    lambda size, end: 'x' * size + end, st.integers(SIZE - 2, SIZE + 3), st.sampled_from(('', '\r', '\n', '\r\n')))
inside = st.booleans()
asks = st.fixed_dictionaries({'want': st.just('line'), 'encoding': st.sampled_from(('UTF-8', 'utf8')),
                              'inside': inside}) | \
    st.fixed_dictionaries({'want': st.just('exact'), 'inside': inside,
                           'size': st.integers(1, SIZE + 1) | st.integers(SIZE, 3 * SIZE)}) | \
    st.fixed_dictionaries({'want': st.just('some'), 'inside': inside})


@st.composite
def streams(draw):
    """Draw a stream in any pieces."""
    stream = ''.join(draw(st.lists(texts, max_size=6)))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[start:end] for start, end in zip([0] + cuts, cuts + [len(stream)])]


def line(encoding='UTF-8', inside=True):
    return {'want': 'line', 'encoding': encoding, 'inside': inside}


@many
@given(skips=st.booleans(), chunks=streams(), asks=st.lists(asks, max_size=12))
@example(skips=False, chunks=['x' * SIZE + '\r', '\ny\n'], asks=[line(), line()])
@example(skips=False, chunks=['x' * SIZE + '\r', 'y\n'], asks=[line(), line()])
@example(skips=False, chunks=['\r', '\n', '\n\r\n'], asks=[line(), line(inside=False), line()])
@example(skips=False, chunks=['one\n' + 'y' * 3 * SIZE],
         asks=[line(), {'want': 'exact', 'size': 3 * SIZE, 'inside': True}, line()])
@example(skips=True, chunks=['x' * SIZE + '\r', 'y\n', 'z' * 3 * SIZE, '\n\r\n'], asks=[line(), line()])
@example(skips=False, chunks=['\xc3', '\xa9\n'], asks=[line()])
def test_a_stream_arrives_in_any_pieces(twin, skips, chunks, asks):
    twin.run('framing', json.dumps({'skips': skips, 'chunks': chunks, 'asks': asks}).encode())


@many
@given(number=st.integers(0, 1000), values=st.lists(st.integers(0, 1000), min_size=6, max_size=6))
def test_any_function_takes_any_argument(twin, number, values):
    twin.run('arguments', json.dumps([number, values]).encode())
