//! Generated code that copies a string from one memory to another, where at least one of them does not have it in UTF-8.
//!
//! Source: the component model's `definitions.py`, `load_string_from_range` and `store_string_into_range`: what is allocated, and when an
//! allocation grows and shrinks, is as there. That a string is valid is found out while it is copied.

use crate::fuse::{MAX_CONTENTS_BYTES, access};
use wasm_encoder::{BlockType, Catch, Function, InstructionSink, ValType};

/// How strings are encoded in a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, little-endian.
    Utf16,
    /// Latin-1, or UTF-16 if the highest bit of the length is set.
    Latin1OrUtf16,
}

impl Encoding {
    /// What the name of an exported function has at its end if it passes strings so.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Utf8 => "",
            Self::Utf16 => "|utf16",
            Self::Latin1OrUtf16 => "|latin1+utf16",
        }
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Latin1OrUtf16 => "Latin-1 or UTF-16",
        })
    }
}

/// The bit of a length which says that the string is in UTF-16.
const TAG: i32 = i32::MIN;

/// A memory with strings: its number, the size of a page as a power of two, and how strings are encoded.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Its number.
    pub number: u32,
    /// The size of a page, as a power of two.
    pub page_log2: u32,
    /// How strings are encoded.
    pub encoding: Encoding,
}

/// What copies strings from one memory to another.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// From here.
    pub from: Memory,
    /// The function that traps unless bytes there are UTF-8, if they should be.
    pub utf8: Option<u32>,
    /// To there.
    pub to: Memory,
    /// Allocates there.
    pub realloc: u32,
    /// The global that says whether who allocates may call out.
    pub flag: Option<u32>,
    /// Whether functions may throw: what they throw is a trap here.
    pub throws: bool,
}

/// The encoding that one string has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Simple {
    Utf8,
    Utf16,
    Latin1,
}

// Locals. The first two are the parameters: the address, and the length in code units with the tag. The last two are returned.
const AT: u32 = 0;
const UNITS: u32 = 1;
/// Where the source ends.
const END: u32 = 2;
/// The allocation, its size, and where the next code unit is written.
const NEW: u32 = 3;
const SIZE: u32 = 4;
const TO: u32 = 5;
/// A character.
const CODE: u32 = 6;
/// The bits of all characters.
const SEEN: u32 = 7;
const COUNT: u32 = 8;
const WIDE: u32 = 9;

/// The function `(address, length) -> (address, length)`.
pub fn copy(text: &Text) -> Function {
    let mut body = Function::new([(7, ValType::I32), (1, ValType::I64)]);
    let mut writer = Writer { text, sink: body.instructions() };
    writer.string();
    writer.sink.local_get(NEW).local_get(UNITS).end();
    body
}

struct Writer<'a> {
    text: &'a Text,
    sink: InstructionSink<'a>,
}

impl Writer<'_> {
    fn trap_if(&mut self) {
        self.sink.if_(BlockType::Empty).unreachable().end();
    }

    fn string(&mut self) {
        match self.text.from.encoding {
            Encoding::Utf8 => {
                self.source(1, 1);
                if let Some(utf8) = self.text.utf8 {
                    self.sink.local_get(AT).local_get(UNITS).call(utf8);
                }
                self.store(Simple::Utf8);
            }
            Encoding::Utf16 => {
                self.source(2, 2);
                self.store(Simple::Utf16);
            }
            Encoding::Latin1OrUtf16 => {
                self.sink.local_get(UNITS).i32_const(TAG).i32_and().if_(BlockType::Empty);
                self.sink.local_get(UNITS).i32_const(TAG).i32_xor().local_set(UNITS);
                self.source(2, 2);
                self.store(Simple::Utf16);
                self.sink.else_();
                self.source(2, 1);
                self.store(Simple::Latin1);
                self.sink.end();
            }
        }
    }

    /// Checks where the string is, for code units of so many bytes.
    fn source(&mut self, align: i32, unit_bytes: i64) {
        let Memory { number, page_log2, .. } = self.text.from;
        self.sink.local_get(UNITS).i64_extend_i32_u().i64_const(unit_bytes).i64_mul().local_tee(WIDE);
        self.sink.i64_const(MAX_CONTENTS_BYTES).i64_gt_u();
        self.trap_if();
        self.check(AT, align, number, page_log2);
        self.sink.local_get(AT).local_get(WIDE).i32_wrap_i64().i32_add().local_set(END);
    }

    /// Traps unless an address is aligned and has as many bytes as `WIDE` behind it.
    fn check(&mut self, at: u32, align: i32, memory: u32, page_log2: u32) {
        if align > 1 {
            self.sink.local_get(at).i32_const(align - 1).i32_and();
            self.trap_if();
        }
        self.sink.local_get(at).i64_extend_i32_u().local_get(WIDE).i64_add();
        self.sink.memory_size(memory).i64_extend_i32_u().i64_const(i64::from(page_log2)).i64_shl().i64_gt_u();
        self.trap_if();
    }

    /// Allocates as many bytes as `COUNT` says, or changes the allocation to that. `TO` stays as far behind its beginning.
    fn reallocate(&mut self, align: i32, first: bool) {
        let Memory { number, page_log2, .. } = self.text.to;
        if let Some(flag) = self.text.flag {
            self.sink.i32_const(0).global_set(flag);
        }
        if !first {
            self.sink.local_get(TO).local_get(NEW).i32_sub().local_set(TO);
        }
        if self.text.throws {
            // What it throws ends in the inner block, whose end is a trap.
            self.sink.block(BlockType::Empty).block(BlockType::Empty);
            self.sink.try_table(BlockType::Empty, [Catch::All { label: 0 }]);
        }
        if first {
            self.sink.i32_const(0).i32_const(0);
        } else {
            self.sink.local_get(NEW).local_get(SIZE);
        }
        self.sink.i32_const(align).local_get(COUNT).call(self.text.realloc).local_set(NEW);
        if self.text.throws {
            self.sink.br(2).end().end().unreachable().end();
        }
        if let Some(flag) = self.text.flag {
            self.sink.i32_const(1).global_set(flag);
        }
        self.sink.local_get(COUNT).local_tee(SIZE).i64_extend_i32_u().local_set(WIDE);
        self.check(NEW, align, number, page_log2);
        self.sink.local_get(NEW);
        if !first {
            self.sink.local_get(TO).i32_add();
        }
        self.sink.local_set(TO);
    }

    /// Allocates a multiple of the code units.
    fn allocate(&mut self, align: i32, times: i32) {
        self.sink.local_get(UNITS).i32_const(times).i32_mul().local_set(COUNT);
        self.reallocate(align, true);
    }

    fn grow(&mut self, align: i32, times: i32) {
        self.sink.local_get(UNITS).i32_const(times).i32_mul().local_set(COUNT);
        self.reallocate(align, false);
    }

    /// Makes the allocation as large as what was written, unless it is.
    fn shrink(&mut self, align: i32) {
        self.sink.local_get(TO).local_get(NEW).i32_sub().local_tee(COUNT).local_get(SIZE).i32_ne();
        self.sink.if_(BlockType::Empty);
        self.reallocate(align, false);
        self.sink.end();
    }

    /// Copies the string as it is.
    fn verbatim(&mut self, align: i32) {
        self.allocate(align, 1);
        self.sink.local_get(NEW).local_get(AT).local_get(UNITS);
        self.sink.memory_copy(self.text.to.number, self.text.from.number);
    }

    fn store(&mut self, from: Simple) {
        match (self.text.to.encoding, from) {
            (Encoding::Utf8, Simple::Utf8) => self.verbatim(1),
            (Encoding::Utf8, _) => self.becomes_utf8(from),
            (Encoding::Utf16, _) => {
                self.allocate(2, 2);
                self.rest(from, |writer| writer.encode_utf16());
                self.shrink(2);
                self.sink.local_get(TO).local_get(NEW).i32_sub().i32_const(1).i32_shr_u().local_set(UNITS);
            }
            (Encoding::Latin1OrUtf16, Simple::Latin1) => self.verbatim(2),
            (Encoding::Latin1OrUtf16, Simple::Utf16) if self.text.from.encoding == Encoding::Latin1OrUtf16 => {
                self.probably_utf16();
            }
            (Encoding::Latin1OrUtf16, _) => self.becomes_latin1_or_utf16(from),
        }
    }

    /// Copies what is left of the string, character by character.
    fn rest(&mut self, from: Simple, encode: impl Fn(&mut Self)) {
        self.sink.loop_(BlockType::Empty).local_get(AT).local_get(END).i32_ne().if_(BlockType::Empty);
        self.decode(from);
        encode(self);
        self.sink.br(1).end().end();
    }

    /// ASCII first, for which there is room. Then there must be as much room as the string may need.
    fn becomes_utf8(&mut self, from: Simple) {
        self.allocate(1, 1);
        self.sink.block(BlockType::Empty).loop_(BlockType::Empty);
        self.sink.local_get(AT).local_get(END).i32_eq().br_if(1);
        self.decode(from);
        self.sink.local_get(CODE).i32_const(0x80).i32_lt_u().if_(BlockType::Empty);
        self.write(1);
        self.sink.br(1).end().end();
        self.grow(1, if from == Simple::Latin1 { 2 } else { 3 });
        self.encode_utf8();
        self.rest(from, |writer| writer.encode_utf8());
        self.shrink(1);
        self.sink.end();
        self.sink.local_get(TO).local_get(NEW).i32_sub().local_set(UNITS);
    }

    /// Latin-1 until a character is none. Then what was written becomes UTF-16.
    fn becomes_latin1_or_utf16(&mut self, from: Simple) {
        self.allocate(2, 1);
        self.sink.block(BlockType::Empty).block(BlockType::Empty).loop_(BlockType::Empty);
        self.sink.local_get(AT).local_get(END).i32_eq().if_(BlockType::Empty);
        self.shrink(2);
        self.sink.local_get(TO).local_get(NEW).i32_sub().local_set(UNITS).br(3).end();
        self.decode(from);
        self.sink.local_get(CODE).i32_const(0x100).i32_ge_u().br_if(1);
        self.write(1);
        self.sink.br(0).end().end();
        self.grow(2, 2);
        // From the last to the first: each moves to twice its distance, above those that are still to move.
        self.sink.local_get(TO).local_get(NEW).i32_sub().local_tee(COUNT).local_get(TO).i32_add().local_set(TO);
        let byte = access(self.text.to.number, 0, 1);
        self.sink.loop_(BlockType::Empty).local_get(COUNT).if_(BlockType::Empty);
        self.sink.local_get(COUNT).i32_const(1).i32_sub().local_tee(COUNT).i32_const(1).i32_shl();
        self.sink.local_get(NEW).i32_add().local_get(NEW).local_get(COUNT).i32_add().i32_load8_u(byte);
        self.sink.i32_store16(access(self.text.to.number, 0, 2)).br(1).end().end();
        self.encode_utf16();
        self.rest(from, |writer| writer.encode_utf16());
        self.shrink(2);
        self.sink.local_get(TO).local_get(NEW).i32_sub().i32_const(1).i32_shr_u().i32_const(TAG).i32_or();
        self.sink.local_set(UNITS).end();
    }

    /// UTF-16, which becomes Latin-1 if all of it can.
    fn probably_utf16(&mut self) {
        self.allocate(2, 2);
        self.sink.i32_const(0).local_set(SEEN);
        self.rest(Simple::Utf16, |writer| {
            writer.sink.local_get(SEEN).local_get(CODE).i32_or().local_set(SEEN);
            writer.encode_utf16();
        });
        self.sink.local_get(SEEN).i32_const(0x100).i32_ge_u().if_(BlockType::Empty);
        self.sink.local_get(UNITS).i32_const(TAG).i32_or().local_set(UNITS).else_();
        let byte = access(self.text.to.number, 0, 1);
        self.sink.i32_const(0).local_set(COUNT);
        self.sink.loop_(BlockType::Empty).local_get(COUNT).local_get(UNITS).i32_ne().if_(BlockType::Empty);
        self.sink.local_get(NEW).local_get(COUNT).i32_add();
        self.sink.local_get(COUNT).i32_const(1).i32_shl().local_get(NEW).i32_add().i32_load8_u(byte).i32_store8(byte);
        self.sink.local_get(COUNT).i32_const(1).i32_add().local_set(COUNT).br(1).end().end();
        self.reallocate(1, false);
        self.sink.end();
    }

    /// Reads a character, and traps if there is none. That bytes are UTF-8 is known.
    fn decode(&mut self, from: Simple) {
        let memory = self.text.from.number;
        let (byte, pair) = (access(memory, 0, 1), access(memory, 0, 2));
        match from {
            Simple::Latin1 => {
                self.sink.local_get(AT).i32_load8_u(byte).local_set(CODE);
                self.skip(AT, 1);
            }
            Simple::Utf8 => {
                self.sink.local_get(AT).i32_load8_u(byte).local_tee(CODE).i32_const(0x80).i32_ge_u();
                self.sink.if_(BlockType::Empty);
                for bound in [0xc0, 0xe0, 0xf0] {
                    self.sink.local_get(CODE).i32_const(bound).i32_ge_u();
                }
                self.sink.i32_add().i32_add().local_set(COUNT);
                // The bits of the first byte.
                self.sink.local_get(CODE).i32_const(0x3f).local_get(COUNT).i32_shr_u().i32_and().local_set(CODE);
                self.sink.loop_(BlockType::Empty);
                self.skip(AT, 1);
                self.sink.local_get(CODE).i32_const(6).i32_shl();
                self.sink.local_get(AT).i32_load8_u(byte).i32_const(0x3f).i32_and().i32_or().local_set(CODE);
                self.sink.local_get(COUNT).i32_const(1).i32_sub().local_tee(COUNT).br_if(0).end().end();
                self.skip(AT, 1);
            }
            Simple::Utf16 => {
                self.sink.local_get(AT).i32_load16_u(pair).local_set(CODE);
                self.skip(AT, 2);
                self.sink.local_get(CODE).i32_const(0xf800).i32_and().i32_const(0xd800).i32_eq();
                self.sink.if_(BlockType::Empty);
                // The first of two halves, and there is a second.
                self.sink.local_get(CODE).i32_const(0x400).i32_and();
                self.trap_if();
                self.sink.local_get(AT).local_get(END).i32_eq();
                self.trap_if();
                self.sink.local_get(AT).i32_load16_u(pair).i32_const(0xdc00).i32_sub().local_tee(COUNT);
                self.sink.i32_const(0x400).i32_ge_u();
                self.trap_if();
                self.sink.local_get(CODE).i32_const(0xd800).i32_sub().i32_const(10).i32_shl();
                self.sink.local_get(COUNT).i32_add().i32_const(0x1_0000).i32_add().local_set(CODE);
                self.skip(AT, 2);
                self.sink.end();
            }
        }
    }

    fn skip(&mut self, cursor: u32, bytes: i32) {
        self.sink.local_get(cursor).i32_const(bytes).i32_add().local_set(cursor);
    }

    /// Writes a code unit of one or two bytes.
    fn write(&mut self, bytes: u32) {
        let at = access(self.text.to.number, 0, bytes);
        self.sink.local_get(TO).local_get(CODE);
        if bytes == 1 {
            self.sink.i32_store8(at);
        } else {
            self.sink.i32_store16(at);
        }
        self.skip(TO, bytes.cast_signed());
    }

    fn encode_utf16(&mut self) {
        self.sink.local_get(CODE).i32_const(0x1_0000).i32_ge_u().if_(BlockType::Empty);
        let pair = access(self.text.to.number, 0, 2);
        // The first half: 0xd800 + ((code - 0x10000) >> 10).
        self.sink.local_get(TO).local_get(CODE).i32_const(10).i32_shr_u().i32_const(0xd800 - 0x40).i32_add();
        self.sink.i32_store16(pair);
        self.skip(TO, 2);
        self.sink.local_get(CODE).i32_const(0x3ff).i32_and().i32_const(0xdc00).i32_or().local_set(CODE).end();
        self.write(2);
    }

    fn encode_utf8(&mut self) {
        let byte = access(self.text.to.number, 0, 1);
        self.sink.local_get(CODE).i32_const(0x80).i32_ge_u().if_(BlockType::Empty);
        // How many bytes follow the first.
        self.sink.local_get(CODE).i32_const(0x800).i32_ge_u().local_get(CODE).i32_const(0x1_0000).i32_ge_u().i32_add();
        self.sink.i32_const(1).i32_add().local_set(COUNT);
        // The first has as many ones at its front as there are bytes, and the highest bits.
        self.sink.local_get(TO).i32_const(0xff80).local_get(COUNT).i32_shr_u();
        self.sink.local_get(CODE).local_get(COUNT).i32_const(6).i32_mul().i32_shr_u().i32_or().i32_store8(byte);
        self.skip(TO, 1);
        self.sink.loop_(BlockType::Empty).local_get(COUNT).i32_const(1).i32_gt_u().if_(BlockType::Empty);
        self.sink.local_get(COUNT).i32_const(1).i32_sub().local_set(COUNT);
        self.sink.local_get(TO).local_get(CODE).local_get(COUNT).i32_const(6).i32_mul().i32_shr_u();
        self.sink.i32_const(0x3f).i32_and().i32_const(0x80).i32_or().i32_store8(byte);
        self.skip(TO, 1);
        self.sink.br(1).end().end();
        self.sink.local_get(CODE).i32_const(0x3f).i32_and().i32_const(0x80).i32_or().local_set(CODE).end();
        self.write(1);
    }
}
