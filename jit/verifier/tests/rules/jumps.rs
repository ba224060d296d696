//! Jump tables (T56, T67).

use super::*;

/// What makes an index no larger than a bound.
#[derive(Clone, Copy)]
enum Clamp {
    Right,
    OtherWayRound,
    /// What is compared is a copy of the index.
    ByCopy,
    /// What is compared is something else.
    ByOther,
}

/// A jump through a table behind it, whose entries lead to the return behind that.
fn dispatch(a: &mut CodeAssembler, bound: Option<u32>, clamp: Clamp, entries: u32, by_byte: bool) -> Assembled {
    a.mov(eax, edi)?;
    dispatch_by_eax(a, bound, clamp, entries, by_byte)
}

/// The same by whatever EAX holds.
fn dispatch_by_eax(a: &mut CodeAssembler, bound: Option<u32>, clamp: Clamp, entries: u32, by_byte: bool) -> Assembled {
    let (mut table, mut target) = (a.create_label(), a.create_label());
    if let Some(bound) = bound {
        a.mov(ecx, bound)?;
        match clamp {
            Clamp::Right | Clamp::OtherWayRound => a.cmp(eax, ecx)?,
            Clamp::ByCopy => {
                a.mov(rsi, rax)?;
                a.cmp(esi, ecx)?;
            }
            Clamp::ByOther => a.cmp(esi, ecx)?,
        }
        if matches!(clamp, Clamp::OtherWayRound) { a.cmova(ecx, eax)? } else { a.cmovb(ecx, eax)? }
    } else {
        a.mov(ecx, eax)?;
    }
    a.lea(rax, ptr(table))?;
    if by_byte {
        a.movsx(rdx, byte_ptr(rax + rcx * 4))?
    } else {
        a.movsxd(rdx, dword_ptr(rax + rcx * 4))?
    }
    a.add(rax, rdx)?;
    a.jmp(rax)?;
    a.set_label(&mut table)?;
    // Each entry leads to the return behind the table.
    for _ in 0..entries {
        a.dd(&[4 * entries])?;
    }
    a.set_label(&mut target)?;
    a.ret()
}

/// T67, T56: jump tables.
#[test]
fn t67_jump_tables_are_clamped() {
    let bench = fixed();
    let jump = |bound, clamp, entries| bench.with(SUBJECT, |a| dispatch(a, bound, clamp, entries, false));
    bench.accepts("as many entries as there are", jump(Some(2), Clamp::Right, 3));
    bench.accepts("a copy of the index", jump(Some(2), Clamp::ByCopy, 3));
    bench.refuses(Rule::Target, "one more than there are", jump(Some(3), Clamp::Right, 3));
    bench.refuses(Rule::Target, "the other way round", jump(Some(2), Clamp::OtherWayRound, 3));
    bench.refuses(Rule::Target, "something else than the index", jump(Some(2), Clamp::ByOther, 3));
    bench.refuses(Rule::Target, "without a bound", jump(None, Clamp::Right, 3));
    let bytes = bench.with(SUBJECT, |a| dispatch(a, Some(2), Clamp::Right, 3, true));
    bench.refuses(Rule::Target, "a byte in the place of an offset", bytes);
}

/// T67: what chooses a jump may be known as something else than a number: the length of a table, or an index below it.
#[test]
fn t67_what_is_known_of_tables_may_choose_a_jump() {
    let bench = fixed();
    let length = |a: &mut CodeAssembler| a.mov(eax, TABLE).and_then(|()| a.mov(eax, dword_ptr(rax)));
    let index = |a: &mut CodeAssembler| {
        let mut below = a.create_label();
        a.mov(eax, edi)?;
        a.cmp(eax, dword_ptr(TABLE))?;
        a.jb(below)?;
        a.ret()?;
        a.set_label(&mut below)?;
        Ok(())
    };
    // An index has an upper half of zeros only if it had before.
    let half = |a: &mut CodeAssembler| {
        let mut below = a.create_label();
        a.mov(rax, rdi)?;
        a.cmp(eax, dword_ptr(TABLE))?;
        a.jb(below)?;
        a.ret()?;
        a.set_label(&mut below)?;
        Ok(())
    };
    // What the compiler makes of both.
    for mode in [Mode::Fixed, Mode::Arg] {
        for choice in ["(table.size $table)", "(local.get 0)", "(i32.and (local.get 0) (i32.const 7))"] {
            let module = format!(
                r#"(module
                  (type $unary (func (param i32) (result i32)))
                  (table $table 4 10 funcref)
                  (func (type $unary)
                    (block $a (block $b
                      (drop (call_indirect $table (type $unary) (i32.const 1) {choice}))
                      (br_table $a $b $a $b $a {choice})) (return (i32.const 2)))
                    (i32.const 1)))"#
            );
            let bench = Bench::new(mode, module.as_bytes());
            bench.accepts(choice, bench.image.clone());
        }
    }
    for (what, by) in [("a length", &length as Step<'_>), ("an index", &index), ("the lower half of an index", &half)] {
        let jump = |bound, clamp, entries| {
            bench.with(SUBJECT, |a| by(a).and_then(|()| dispatch_by_eax(a, bound, clamp, entries, false)))
        };
        bench.accepts(what, jump(Some(2), Clamp::Right, 3));
        bench.accepts(what, jump(Some(2), Clamp::ByCopy, 3));
        bench.refuses(Rule::Target, what, jump(Some(3), Clamp::Right, 3));
        bench.refuses(Rule::Target, what, jump(Some(2), Clamp::OtherWayRound, 3));
        bench.refuses(Rule::Target, what, jump(Some(2), Clamp::ByOther, 3));
        bench.refuses(Rule::Target, what, jump(None, Clamp::Right, 3));
    }
    // All 64 bits of it, which may be more than what was compared.
    let wide = bench.with(SUBJECT, |a| {
        half(a)?;
        let (mut table, mut target) = (a.create_label(), a.create_label());
        a.mov(ecx, 2)?;
        a.cmp(eax, ecx)?;
        a.cmovb(rcx, rax)?;
        a.lea(rax, ptr(table))?;
        a.movsxd(rdx, dword_ptr(rax + rcx * 4))?;
        a.add(rax, rdx)?;
        a.jmp(rax)?;
        a.set_label(&mut table)?;
        a.dd(&[12, 12, 12])?;
        a.set_label(&mut target)?;
        a.ret()
    });
    bench.refuses(Rule::Target, "64 bits, of which 32 were compared", wide);
}

/// T67, T57: the index of a jump table may be a constant. What the other entries lead to is followed as well: it is code of the
/// module, and tables speak of it.
#[test]
fn t67_a_jump_table_may_have_a_constant_index() {
    let bench = fixed();
    let code = |index: u32, last: u32, third: u32| {
        let mut image = bench.with(SUBJECT, |a| {
            let mut table = a.create_label();
            a.mov(eax, index)?;
            a.mov(ecx, last)?;
            a.cmp(eax, ecx)?;
            a.cmovb(ecx, eax)?;
            a.lea(rax, ptr(table))?;
            a.movsxd(rdx, dword_ptr(rax + rcx * 4))?;
            a.add(rax, rdx)?;
            a.jmp(rax)?;
            a.set_label(&mut table)?;
            a.dd(&[12, 13, third])?;
            a.ret()?;
            a.ud2()
        });
        // The second entry leads to this one.
        let CodeRange { start, len } = image.functions[SUBJECT];
        image.traps.push(start + len - 2, TrapCode::Unreachable as u8);
        image
    };
    for index in [0, 1, 2, 3, u32::MAX] {
        bench.accepts("a constant index", code(index, 2, 12));
        bench.refuses(Rule::Target, "an entry that leads out of the function", code(index, 2, 15));
        bench.refuses(Rule::Target, "more entries than there are", code(index, 3, 12));
    }
    // A table of the first entry alone: nothing leads to what the tables speak of.
    bench.refuses(Rule::Metadata, "no other entry", code(0, 0, 12));
}
