//! Links functions to one text with its tables.

use crate::emit::{FUNCTIONS, RETURN};
use crate::error::CompileError;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, Function};
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use std::ops::Range;
use wave_contract::context::Addressing;
use wave_contract::image::{CodeImage, CodeRange, EntryThunk, SourceTable, TEXT_ALIGN, TEXT_PADDING, TrapTable};
use wave_contract::types::SignatureId;

/// Least alignment of a function: short functions and loops near their start then sit the same way in every build.
const FUNCTION_ALIGN: u32 = 32;

/// Largest text: every distance in it is a 32-bit displacement.
const MAX_TEXT_BYTES: u64 = i32::MAX as u64;

/// The functions that one worker has compiled, in flat lists: a large module has a hundred thousand.
#[derive(Default)]
pub(crate) struct Chunk {
    code: Vec<u8>,
    units: Vec<Unit>,
    calls: Vec<Call>,
    traps: Vec<(u32, u8)>,
    sources: Vec<(u32, u32)>,
}

/// One function in a chunk. Offsets in the lists are relative to its start.
struct Unit {
    /// Function index, or behind those, the number of an entry thunk.
    index: u32,
    align: u32,
    code: Range<usize>,
    calls: Range<usize>,
    traps: Range<usize>,
    sources: Range<usize>,
}

/// A call of another function of the module.
struct Call {
    offset: u32,
    kind: CallKind,
    callee: u32,
    addend: i64,
}

#[derive(Clone, Copy)]
enum CallKind {
    /// A displacement of four bytes.
    X86,
    /// The 26 lowest bits of an instruction, in instructions.
    Arm64,
}

impl Chunk {
    /// Copies what is needed of a compiled function.
    pub(crate) fn push(&mut self, index: u32, compiled: &CompiledCode, func: &Function) -> Result<(), String> {
        let start = (self.code.len(), self.calls.len(), self.traps.len(), self.sources.len());
        let buffer = &compiled.buffer;
        self.code.extend_from_slice(compiled.code_buffer());
        for reloc in buffer.relocs() {
            let kind = match reloc.kind {
                Reloc::X86CallPCRel4 => CallKind::X86,
                Reloc::Arm64Call => CallKind::Arm64,
                other => return Err(format!("unexpected relocation {other}")),
            };
            let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target else {
                return Err(format!("relocation against {:?}", reloc.target));
            };
            let callee = &func.params.user_named_funcs()[name];
            if callee.namespace != FUNCTIONS {
                return Err(format!("relocation against {callee}"));
            }
            self.calls.push(Call { offset: reloc.offset, kind, callee: callee.index, addend: reloc.addend });
        }

        self.traps.extend(buffer.traps().iter().map(|trap| (trap.offset, trap.code.as_raw().get())));
        let traps = &mut self.traps[start.2..];
        if !traps.is_sorted() {
            traps.sort_unstable();
        }

        // Positions of trapping instructions, and of calls at their last byte: a trapping instruction may follow at once.
        let locations = buffer.get_srclocs_sorted();
        let position = |offset: u32| {
            let at = locations.partition_point(|location| location.start <= offset).checked_sub(1)?;
            let location = locations.get(at).filter(|location| offset < location.end && !location.loc.is_default())?;
            Some(location.loc.bits()).filter(|position| *position != RETURN)
        };
        let ends = locations.iter().filter(|location| location.loc.bits() == RETURN).map(|location| location.end);
        ends.for_each(|end| relax_epilogue(&mut self.code[start.0..], end as usize));
        let sources = &mut self.sources;
        sources.extend(traps.iter().filter_map(|&(offset, _)| Some((offset, position(offset)?))));
        sources.extend(buffer.call_sites().filter_map(|site| {
            let last = site.ret_addr.checked_sub(1)?;
            Some((last, position(last)?))
        }));
        sources[start.3..].sort_unstable_by_key(|&(offset, _)| offset);

        self.units.push(Unit {
            index,
            align: buffer.alignment,
            code: start.0..self.code.len(),
            calls: start.1..self.calls.len(),
            traps: start.2..self.traps.len(),
            sources: start.3..self.sources.len(),
        });
        Ok(())
    }
}

/// Removes `mov rsp, rbp` from the epilogue that ends at `end`.
///
/// The stack pointer equals the frame pointer already: the frame was released just before, by `add rsp, N` where it
/// had a size. The move only makes the stack pointer wait for the load that restored the frame pointer in the callee, so that
/// a chain of returns runs at the latency of memory: recursive functions are up to a quarter faster without it. The code after
/// a [`RETURN`] position is the lowering of that return, whose last instructions are always the epilogue, so the bytes before
/// its end cannot be part of anything else.
fn relax_epilogue(code: &mut [u8], end: usize) {
    const MOVE: [u8; 3] = [0x48, 0x89, 0xec];
    const NOP: [u8; 3] = [0x0f, 0x1f, 0x00];
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    // `pop rbp; ret` or, with arguments on the stack, `pop rbp; ret imm16`.
    let head = match code.get(..end) {
        Some([head @ .., 0x5d, 0xc3] | [head @ .., 0x5d, 0xc2, _, _]) => head.len(),
        _ => return,
    };
    if let Some(tail) = code[..head].last_chunk_mut::<3>()
        && *tail == MOVE
    {
        *tail = NOP;
    }
}

/// Places all functions one after another, in order of their index, and resolves the calls.
pub(crate) fn link(
    chunks: Vec<Chunk>,
    functions: usize,
    entries: &[(SignatureId, u32)],
    addressing: Addressing,
    processor: String,
) -> Result<CodeImage, CompileError> {
    let mut order: Vec<(&Chunk, &Unit)> =
        chunks.iter().flat_map(|chunk| chunk.units.iter().map(move |unit| (chunk, unit))).collect();
    order.sort_unstable_by_key(|(_, unit)| unit.index);
    let failure = |function: u32, message: String| CompileError::Codegen { function, message };

    let mut ranges = Vec::with_capacity(order.len());
    let mut end: u64 = 0;
    for (expected, (_, unit)) in (0..).zip(&order) {
        if unit.index != expected {
            return Err(failure(expected, "it was not compiled".to_owned()));
        }
        let align = unit.align.max(FUNCTION_ALIGN);
        if !align.is_power_of_two() || align as usize > TEXT_ALIGN {
            return Err(failure(unit.index, format!("alignment of {align} bytes")));
        }
        let start = end.next_multiple_of(u64::from(align));
        end = start + unit.code.len() as u64;
        let too_large = |_| CompileError::TooLarge { what: "compiled code", len_bytes: end, max_bytes: MAX_TEXT_BYTES };
        if end > MAX_TEXT_BYTES {
            return Err(CompileError::TooLarge { what: "compiled code", len_bytes: end, max_bytes: MAX_TEXT_BYTES });
        }
        ranges.push(CodeRange {
            start: u32::try_from(start).map_err(too_large)?,
            len: u32::try_from(unit.code.len()).map_err(too_large)?,
        });
    }

    let mut text = Vec::with_capacity(usize::try_from(end).unwrap_or(0));
    let mut traps = TrapTable::default();
    let mut sources = SourceTable::default();
    for (&(chunk, unit), range) in order.iter().zip(&ranges) {
        text.resize(range.start as usize, TEXT_PADDING);
        text.extend_from_slice(&chunk.code[unit.code.clone()]);
        for call in &chunk.calls[unit.calls.clone()] {
            let target = ranges
                .get(call.callee as usize)
                .ok_or_else(|| failure(unit.index, "call of no function".to_owned()))?;
            resolve(&mut text, range.start + call.offset, target.start, call)
                .ok_or_else(|| failure(unit.index, format!("call of function {} out of reach", call.callee)))?;
        }
        for &(offset, code) in &chunk.traps[unit.traps.clone()] {
            traps.push(range.start + offset, code);
        }
        for &(offset, position) in &chunk.sources[unit.sources.clone()] {
            sources.push(range.start + offset, position);
        }
    }
    let thunks = ranges.split_off(functions.min(ranges.len()));
    let entries = entries.iter().zip(thunks).map(|(&(signature, _), code)| EntryThunk { signature, code }).collect();
    Ok(CodeImage { addressing, text, functions: ranges, entries, traps, sources, processor })
}

/// Writes the distance to `target` into the call at `at`.
fn resolve(text: &mut [u8], at: u32, target: u32, call: &Call) -> Option<()> {
    let distance = i64::from(target) + call.addend - i64::from(at);
    let field: &mut [u8; 4] = text.get_mut(at as usize..)?.first_chunk_mut()?;
    match call.kind {
        CallKind::X86 => *field = i32::try_from(distance).ok()?.to_le_bytes(),
        CallKind::Arm64 => {
            let instructions =
                i32::try_from(distance / 4).ok().filter(|words| distance % 4 == 0 && words.unsigned_abs() < 1 << 25)?;
            let opcode = u32::from_le_bytes(*field) & !0x03ff_ffff;
            *field = (opcode | instructions.cast_unsigned() & 0x03ff_ffff).to_le_bytes();
        }
    }
    Some(())
}
