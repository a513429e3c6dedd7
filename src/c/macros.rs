//! What a macro in an operand stands for: its definition in the file, its sibling headers or the headers it includes.
