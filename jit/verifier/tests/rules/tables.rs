//! Tables, what is called through them, and callees' contexts (T67, T70).

use super::*;

/// What an indirect call through table 0 takes.
fn through_table(a: &mut CodeAssembler, change: impl Fn(&str) -> bool, signature: u32) -> Assembled {
    through_table_at(a, TABLE, change, signature)
}

/// What an indirect call through a table takes.
fn through_table_at(a: &mut CodeAssembler, table: i32, change: impl Fn(&str) -> bool, signature: u32) -> Assembled {
    let entry = table + TABLE_ENTRIES as i32;
    let mut trap = a.create_label();
    let kept = |step: &str| !change(step);
    a.sub(rsp, 8)?;
    a.mov(eax, if kept("its own length") { table } else { OTHER_TABLE })?;
    a.mov(eax, dword_ptr(rax))?;
    if kept("the comparison with the length") {
        a.cmp(edi, eax)?;
        if kept("the right condition") { a.jae(trap)? } else { a.ja(trap)? }
    }
    a.xor(ecx, ecx)?;
    a.cmp(edi, eax)?;
    if kept("the guard against speculation") {
        a.cmovae(edi, ecx)?;
    }
    a.mov(eax, edi)?;
    if kept("the size of an entry") {
        a.shl(rax, 4)?
    } else {
        a.shl(rax, 3)?
    }
    if kept("the comparison of the signature") {
        let field = if kept("the field of the signature") { 8 } else { 12 };
        a.cmp(dword_ptr(rax + (entry + field)), signature as i32)?;
        if kept("the outcome") { a.jne(trap)? } else { a.je(trap)? }
    }
    if kept("the same entry") {
        a.call(qword_ptr(rax + entry))?;
    } else {
        a.call(qword_ptr(rax + (entry + 16)))?;
    }
    a.add(rsp, 8)?;
    a.ret()?;
    a.set_label(&mut trap)?;
    a.ud2()
}

/// T67: an index below the length, and the signature of that entry.
#[test]
fn t67_calls_through_tables_are_checked() {
    let bench = fixed();
    let nothing = bench.signature(1).0;
    let call =
        |dropped: &'static str, signature| bench.with(SUBJECT, |a| through_table(a, |step| step == dropped, signature));
    bench.accepts("all steps", call("", nothing));
    for (step, rule) in [
        ("the right condition", Rule::Memory),
        ("its own length", Rule::Memory),
        ("the size of an entry", Rule::Memory),
        ("the comparison of the signature", Rule::Signature),
        ("the field of the signature", Rule::Signature),
        ("the outcome", Rule::Signature),
        ("the same entry", Rule::Memory),
    ] {
        bench.refuses(rule, step, call(step, nothing));
    }
    // What a processor does on a path that it takes by mistake is not looked at.
    bench.accepts("without a guard against speculation", call("the guard against speculation", nothing));
    bench.refuses(Rule::Memory, "with that alone", call("the comparison with the length", nothing));
    bench.refuses(Rule::Target, "a signature that no type has", call("", 77));
    bench.refuses(Rule::Target, "the null entry", call("", 0));
}

/// T67: a call by reference is a call through the function table, whose entries have the ids of shapes. An entry of a table of
/// the module never has one of them, so that nobody relies on what an id means in another table.
#[test]
fn t67_calls_by_reference_are_checked() {
    let typed = MODULE
        .replace("(type $nothing (func))", "(type $nothing (func (result funcref)))")
        .replace("(func $callee (type $nothing))", "(func $callee (type $nothing) (ref.null func))");
    for (module, same) in [(MODULE, true), (&*typed, false)] {
        let bench = Bench::new(Mode::Fixed, module.as_bytes());
        let ids = bench.terms.signatures[1];
        assert_eq!(ids.exact == ids.shape, same, "{ids:?}");
        let call = |dropped: &'static str, signature: u32| {
            bench.with(SUBJECT, |a| through_table_at(a, FUNCTION_TABLE, |step| step == dropped, signature))
        };
        bench.accepts("all steps", call("", ids.shape.0));
        for (step, rule) in [
            ("the right condition", Rule::Memory),
            ("its own length", Rule::Memory),
            ("the size of an entry", Rule::Memory),
            ("the comparison of the signature", Rule::Signature),
            ("the field of the signature", Rule::Signature),
            ("the outcome", Rule::Signature),
            ("the same entry", Rule::Memory),
        ] {
            bench.refuses(rule, step, call(step, ids.shape.0));
        }
        bench.refuses(Rule::Target, "a shape that no type has", call("", 77));
        bench.refuses(Rule::Target, "the null entry", call("", 0));
    }
}

/// T67: of the function table, code may read entry 0 and those below its length, and write nothing.
#[test]
fn t67_the_function_table_is_read_only() {
    for bench in [fixed(), arg()] {
        let is_fixed = bench.terms.addressing.fixed().is_some();
        let header = |a: &mut CodeAssembler| match is_fixed {
            true => a.mov(eax, FUNCTION_TABLE),
            false => a.mov(rax, qword_ptr(rdi + layout(&bench).function_table() as i32)),
        };
        let entry = |index: i32| TABLE_ENTRIES as i32 + 16 * index + 8;
        accepts(&bench, "its length", |a| header(a).and_then(|()| a.mov(eax, dword_ptr(rax))));
        accepts(&bench, "entry 0", |a| header(a).and_then(|()| a.mov(eax, dword_ptr(rax + entry(0)))));
        let one = |a: &mut CodeAssembler, compare: bool| {
            let mut trap = a.create_label();
            header(a)?;
            if compare {
                a.cmp(dword_ptr(rax), 1)?;
                a.jbe(trap)?;
            }
            a.mov(eax, dword_ptr(rax + entry(1)))?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        };
        bench.accepts("entry 1 if there is one", bench.with(SUBJECT, |a| one(a, true)));
        bench.refuses(Rule::TableBound, "entry 1, which may not be there", bench.with(SUBJECT, |a| one(a, false)));
        for (what, at) in [("its length", 0), ("an entry", entry(0))] {
            refuses(&bench, Rule::Memory, what, |a| header(a).and_then(|()| a.mov(dword_ptr(rax + at), ecx)));
        }
    }
}

/// T67: a table of typed function references has entries as one of any functions; no other table has.
#[test]
fn t67_tables_of_functions_have_entries() {
    let table = |ty: &str| MODULE.replace("(table $long 4 10 funcref)", &format!("(table $long 4 10 {ty})"));
    for (ty, has_entries) in [
        ("(ref null $nothing)", true),
        ("nullfuncref", true),
        ("externref", false),
        ("anyref", false),
        ("(ref null i31)", false),
    ] {
        let bench = Bench::new(Mode::Fixed, table(ty).as_bytes());
        let image = bench.with(SUBJECT, |a| {
            a.mov(ecx, dword_ptr((ENTRY + 8) as u64))?;
            a.ret()
        });
        match has_entries {
            true => bench.accepts(ty, image),
            false => drop(bench.refuses(Rule::Memory, ty, image)),
        }
    }
}

/// T67: what a comparison says of a register is true of everything that holds the same, and of nothing else.
#[test]
fn t67_a_bound_holds_for_every_copy() {
    let bench = fixed();
    // `copy` puts RDI, which is also at 8 above the stack pointer, into RSI; `reload` gets RAX from somewhere.
    let through = |copy: Step, reload: Step| {
        bench.with(SUBJECT, |a| {
            let mut trap = a.create_label();
            a.sub(rsp, 24)?;
            a.mov(qword_ptr(rsp + 8), rdi)?;
            a.mov(ecx, dword_ptr(TABLE))?;
            copy(a)?;
            a.cmp(esi, ecx)?;
            a.jae(trap)?;
            reload(a)?;
            a.mov(eax, eax)?;
            a.shl(rax, 4)?;
            a.mov(eax, dword_ptr(rax + (ENTRY + 8)))?;
            a.add(rsp, 24)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        })
    };
    let from_word: Step = &|a| a.mov(rsi, qword_ptr(rsp + 8));
    let from_register: Step = &|a| a.mov(rsi, rdi);
    let good: [(&str, Step, Step); 8] = [
        ("the word it was loaded from", from_word, &|a| a.mov(rax, qword_ptr(rsp + 8))),
        ("the register that was stored", from_word, &|a| a.mov(rax, rdi)),
        ("the register it was copied from", from_register, &|a| a.mov(rax, rdi)),
        ("the word that the register was stored to", from_register, &|a| a.mov(rax, qword_ptr(rsp + 8))),
        ("a copy of a copy that is gone", &|a| a.mov(r8, rdi).and_then(|()| a.mov(rsi, r8)), &|a| {
            a.mov(r8, rdx)?;
            a.mov(rax, rdi)
        }),
        (
            "a copy of what is gone",
            &|a| a.mov(rsi, rdi).and_then(|()| a.mov(r8, rdi)).and_then(|()| a.mov(rdi, rdx)),
            &|a| a.mov(rax, r8),
        ),
        ("the word, stored again", from_word, &|a| {
            a.mov(qword_ptr(rsp + 8), rdi)?;
            a.mov(rax, rdi)
        }),
        ("a word beside one that is written", from_word, &|a| {
            a.mov(qword_ptr(rsp + 16), rdx)?;
            a.mov(qword_ptr(rsp), rdx)?;
            a.mov(rax, qword_ptr(rsp + 8))
        }),
    ];
    for (what, copy, reload) in good {
        bench.accepts(what, through(copy, reload));
    }
    let load: Step = &|a| a.mov(rax, qword_ptr(rsp + 8));
    let bad: [(&str, Step, Step); 9] = [
        ("another word", from_word, &|a| {
            a.mov(qword_ptr(rsp + 16), rdx).and_then(|()| a.mov(rax, qword_ptr(rsp + 16)))
        }),
        ("the word is written before", &|a| from_word(a).and_then(|()| a.mov(qword_ptr(rsp + 8), rdx)), load),
        ("the word is written after", from_word, &|a| a.mov(qword_ptr(rsp + 8), rdx).and_then(|()| load(a))),
        ("half of the word is written", &|a| from_word(a).and_then(|()| a.mov(dword_ptr(rsp + 8), edx)), load),
        ("a vector over the word", &|a| from_word(a).and_then(|()| a.movups(xmmword_ptr(rsp + 1), xmm0)), load),
        ("the word is released", from_word, &|a| {
            a.add(rsp, 16)?;
            a.sub(rsp, 16)?;
            load(a)
        }),
        ("the register is written", &|a| from_register(a).and_then(|()| a.mov(rdi, rdx)), &|a| a.mov(rax, rdi)),
        ("the copy is written", &|a| from_register(a).and_then(|()| a.mov(rsi, rdx)), &|a| a.mov(rax, rdi)),
        (
            "a copy on one path only",
            &|a| {
                let (mut other, mut both) = (a.create_label(), a.create_label());
                a.test(edx, edx)?;
                a.je(other)?;
                a.mov(rsi, rdi)?;
                a.jmp(both)?;
                a.set_label(&mut other)?;
                a.mov(rsi, rdx)?;
                a.set_label(&mut both)?;
                a.nop_3()
            },
            &|a| a.mov(rax, rdi),
        ),
    ];
    for (what, copy, reload) in bad {
        bench.refuses(Rule::Memory, what, through(copy, reload));
    }

    // A register minus its copy.
    let zero = |made: Step| {
        bench.with(SUBJECT, |a| {
            made(a)?;
            a.mov(rax, qword_ptr(rax + CTX + cell(&bench, 2)))?;
            a.ret()
        })
    };
    bench.accepts("zero", zero(&|a| a.mov(rax, rdi).and_then(|()| a.xor(eax, edi))));
    bench.refuses(Rule::Memory, "no copy", zero(&|a| a.mov(rax, rdi).and_then(|()| a.xor(eax, edx))));
    bench.refuses(Rule::Memory, "half a copy", zero(&|a| a.mov(eax, edi).and_then(|()| a.xor(rax, rdi))));
}

/// T70: in mode arg, the context is passed on.
#[test]
fn t70_callees_find_their_context() {
    let bench = arg();
    let callee = bench.function(CALLEE);
    let call = |change: fn(&mut CodeAssembler) -> Assembled| {
        bench.with(SUBJECT, move |a| {
            a.sub(rsp, 8)?;
            change(a)?;
            a.call(callee)?;
            a.add(rsp, 8)?;
            a.ret()
        })
    };
    bench.accepts("as it came", call(|_| Ok(())));
    bench.refuses(Rule::Context, "an argument in its place", call(|a| a.mov(rdi, rsi)));
    bench.refuses(Rule::Context, "another address", call(|a| a.add(rdi, 16)));
    bench.refuses(Rule::Context, "the lower half", call(|a| a.mov(edi, edi)));
    bench.accepts(
        "from where it was kept",
        call(|a| {
            a.push(rdi)?;
            a.xor(edi, edi)?;
            a.pop(rdi)
        }),
    );
    // Memory by its base, as the context gives it.
    accepts(&bench, "memory", |a| {
        a.mov(rax, qword_ptr(rdi + 0x18))?;
        a.mov(ecx, esi)?;
        a.mov(eax, dword_ptr(rax + rcx + i32::MAX))
    });
    refuses(&bench, Rule::Memory, "before memory", |a| {
        a.mov(rax, qword_ptr(rdi + 0x18))?;
        a.mov(ecx, esi)?;
        a.mov(eax, dword_ptr(rax + rcx - 4))
    });
    refuses(&bench, Rule::Memory, "memory by an index of 64 bits", |a| {
        a.mov(rax, qword_ptr(rdi + 0x18))?;
        a.mov(eax, dword_ptr(rax + rsi))
    });
    refuses(&bench, Rule::Memory, "memory by an argument", |a| a.mov(eax, dword_ptr(rsi)));
}

/// T70: code and context come from the same entry of the same table.
#[test]
fn t70_code_and_context_of_one_entry() {
    let bench = arg();
    let nothing = bench.signature(1).0 as i32;
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let [long, other] = [0, 1].map(|table| layout.table(table) as i32);
    let entry = TABLE_ENTRIES as i32;
    let call = |of: i32| {
        move |a: &mut CodeAssembler| {
            let mut trap = a.create_label();
            a.sub(rsp, 8)?;
            a.mov(rax, qword_ptr(rdi + long))?;
            a.cmp(dword_ptr(rax + (entry + 8)), nothing)?;
            a.jne(trap)?;
            a.mov(rdx, qword_ptr(rax + entry))?;
            a.mov(rax, qword_ptr(rdi + of))?;
            a.cmp(dword_ptr(rax + (entry + 8)), nothing)?;
            a.jne(trap)?;
            a.mov(ecx, dword_ptr(rax + (entry + 12)))?;
            a.add(rcx, qword_ptr(rdi + ARENA as i32))?;
            a.mov(rdi, rcx)?;
            a.call(rdx)?;
            a.add(rsp, 8)?;
            a.ret()?;
            a.set_label(&mut trap)?;
            a.ud2()
        }
    };
    bench.accepts("of one entry", bench.with(SUBJECT, call(long)));
    bench.refuses(Rule::Context, "of two tables", bench.with(SUBJECT, call(other)));
}
