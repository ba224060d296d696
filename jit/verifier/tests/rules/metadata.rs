//! What tables say of code (T57).

use super::*;

/// The tables that the runtime believes at a fault.
#[test]
fn t57_tables_speak_of_what_is_there() {
    let bench = fixed();
    let code = |at: Option<(u32, TrapCode)>| {
        let mut image = bench.with(SUBJECT, |a| {
            a.mov(eax, edi)?;
            a.mov(eax, dword_ptr(rax + MEM))?;
            a.ret()?;
            a.ud2()
        });
        let start = image.functions[SUBJECT].start;
        if let Some((at, code)) = at {
            image.traps.push(start + at, code as u8);
        }
        image
    };
    bench.accepts("none", code(None));
    bench.accepts("the load", code(Some((2, TrapCode::HeapOutOfBounds))));
    for (what, at, trap) in [
        ("another instruction", 0, TrapCode::HeapOutOfBounds),
        ("the middle of one", 3, TrapCode::HeapOutOfBounds),
        ("another reason", 2, TrapCode::Unreachable),
        ("what no path leads to", 9, TrapCode::Unreachable),
    ] {
        bench.refuses(Rule::Metadata, what, code(Some((at, trap))));
    }
}

/// Code that only a jump back leads to, as behind handlers of exceptions: what a table says of it counts, and it is checked.
#[test]
fn t57_code_that_only_a_jump_back_leads_to() {
    let bench = fixed();
    let code = |trap: Option<u32>, register: AsmRegister64| {
        let mut image = bench.with(SUBJECT, |a| {
            let (mut behind, mut before) = (a.create_label(), a.create_label());
            a.jmp(behind)?;
            a.set_label(&mut before)?;
            a.mov(eax, dword_ptr(register + MEM))?;
            a.ret()?;
            a.set_label(&mut behind)?;
            a.mov(edi, edi)?;
            a.jmp(before)
        });
        // The jump takes two bytes.
        let at = image.functions[SUBJECT].start + 2;
        if let Some(trap) = trap {
            image.traps.push(at + trap, TrapCode::HeapOutOfBounds as u8);
        }
        image
    };
    bench.accepts("without a table", code(None, rdi));
    bench.accepts("with its own fault", code(Some(0), rdi));
    bench.refuses(Rule::Metadata, "inside of it", code(Some(1), rdi));
    bench.refuses(Rule::Memory, "an address that is no index", code(Some(0), rsi));
    bench.refuses(Rule::Memory, "the same without a table", code(None, rsi));
}
