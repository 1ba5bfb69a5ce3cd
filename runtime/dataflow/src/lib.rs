//! How records move: channels, gates, alignment, operators, the subtask loop.
