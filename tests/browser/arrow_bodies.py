"""What schemathesis is to send where a body is an Arrow stream: rows that fit, and all kinds that do not."""

import random

import pyarrow as pa
import schemathesis

from conftest import sensors


@schemathesis.serializer("application/vnd.apache.arrow.stream")
def arrow(context, value):
    """Streams by what was made up: whole, cut off, of other columns, or no stream at all."""
    dice = random.Random(repr(value))
    table = sensors(dice.randrange(1, 50), dice.randrange(1000)).drop_columns(["machine", "stamp"])
    kind = dice.randrange(5)
    if kind == 1:
        table = table.drop_columns(["t3"])
    if kind == 2:
        table = table.append_column("text", pa.array(["x"] * len(table)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream = sink.getvalue().to_pybytes()
    if kind == 3:
        return stream[: dice.randrange(len(stream))]
    if kind == 4:
        return repr(value).encode()
    return stream
