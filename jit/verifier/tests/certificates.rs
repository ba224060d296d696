//! The check relies on no certificate: one that claims more than is true is refused, whatever it is about.

#![allow(clippy::cast_possible_truncation, reason = "all addresses are below 2 GiB")]

mod support;

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use support::{Bench, CONTEXT, MEMORY, Mode};
use wave_contract::context::{ContextLayout, STACK_LIMIT};
use wave_contract::image::CodeImage;
use wave_contract::types::SignatureId;
use wave_verifier::rules::{Certificate, Checked, Entry, Flags, Gpr, Home, State, Value};
use wave_verifier::{Rule, Scratch, UnitName, with_units};

const MODULE: &str = r#"(module
  (import "host" "call" (func $host (param i32) (result i32)))
  (memory 1 10)
  (table 4 10 funcref)
  (func $subject (param i32) (result i32) (local.get 0)))"#;

/// The function that is replaced.
const SUBJECT: usize = 1;

const CTX: i32 = CONTEXT as i32;
const MEM: i32 = MEMORY as i32;

type Assembled = Result<(), IcedError>;

fn bench() -> Bench {
    Bench::new(Mode::Fixed, MODULE.as_bytes())
}

/// Calls the host in loops, one after the other. Each is entered at its end, so all that is known at its head is what its
/// certificate claims. `checks`: whether it looks at the status of the call before.
fn loops(bench: &Bench, count: u32, checks: bool) -> CodeImage {
    let layout = ContextLayout::new(&bench.info).expect("a small module");
    let host = (CTX as u32 + layout.function(0)) as u64;
    bench.with(SUBJECT, |a| {
        let mut trap = a.create_label();
        a.push(rbx)?;
        a.sub(rsp, 32)?;
        a.mov(eax, CTX)?;
        a.cmp(rsp, qword_ptr(rax + STACK_LIMIT as i32))?;
        a.jb(trap)?;
        a.mov(ebx, edi)?;
        for number in 0..count {
            let (mut head, mut end) = (a.create_label(), a.create_label());
            let call = |a: &mut CodeAssembler| -> Assembled {
                a.mov(esi, ebx)?;
                a.mov(edi, CTX)?;
                a.call(qword_ptr(host))
            };
            a.mov(qword_ptr(rsp), 7 + number as i32)?;
            call(a)?;
            a.jmp(end)?;
            a.set_label(&mut head)?;
            if checks {
                a.test(rdx, rdx)?;
                a.jne(trap)?;
            }
            call(a)?;
            a.set_label(&mut end)?;
            a.sub(ebx, 1)?;
            a.cmp(ebx, 5)?;
            a.ja(head)?;
            a.test(rdx, rdx)?;
            a.jne(trap)?;
        }
        a.add(rsp, 32)?;
        a.pop(rbx)?;
        a.ret()?;
        a.set_label(&mut trap)?;
        a.ud2()
    })
}

/// What the check says of the replaced function, with the certificate of the verifier after a change.
fn check(bench: &Bench, image: &CodeImage, change: impl FnOnce(&mut Certificate)) -> Option<Rule> {
    let outcome = with_units(image, &bench.bytes, &bench.terms, |units| {
        let is_subject = |name| name == UnitName::Function(SUBJECT as u32);
        let unit = units.all().iter().find(|unit| is_subject(unit.name)).expect("a function of the module");
        let mut scratch = Scratch::default();
        let mut certificate = units.certify(unit, &mut scratch).expect("code that is in order");
        change(&mut certificate);
        units.check(unit, &certificate, &mut scratch)
    });
    outcome.expect("an image of that module").err().map(|refusal| refusal.rule)
}

/// The claims of a certificate.
fn claims(certificate: &Certificate) -> Vec<(u32, State)> {
    certificate.claims().map(|(at, state)| (at, state.clone())).collect()
}

/// The claim of a certificate that has one.
fn only(certificate: &Certificate) -> (u32, State) {
    <[_; 1]>::try_from(claims(certificate)).expect("one loop").into_iter().next().expect("one of one")
}

/// What is known at a head changes three times here: the walk must join, and follow the loop again after each change.
#[test]
fn loops_are_accepted() {
    let bench = bench();
    let image = bench.with(SUBJECT, |a| {
        let mut again = a.create_label();
        a.xor(eax, eax)?;
        a.xor(ecx, ecx)?;
        a.xor(esi, esi)?;
        a.set_label(&mut again)?;
        a.mov(edx, dword_ptr(rsi + MEM))?;
        a.mov(esi, ecx)?;
        a.mov(ecx, eax)?;
        a.add(eax, 1)?;
        a.test(edx, edx)?;
        a.jne(again)?;
        a.ret()
    });
    bench.accepts("an index that is two rounds behind", image.clone());
    let unchanged = check(&bench, &image, |certificate| {
        let (_, state) = only(certificate);
        assert_eq!([Gpr::RAX, Gpr(1), Gpr::RSI].map(|register| state.get(register)), [Value::U32; 3]);
    });
    assert_eq!(unchanged, None);
    bench.accepts("calls of the host", loops(&bench, 3, true));
}

#[test]
fn a_claim_that_is_not_true_is_refused() {
    let bench = bench();
    let image = loops(&bench, 1, true);
    assert_eq!(check(&bench, &image, |_| {}), None, "as it was found");
    type Change = fn(&mut State);
    let changes: [(&str, Change); 14] = [
        ("a register has a value", |state| state.set(Gpr(8), Value::exactly(1))),
        ("a register has fewer values", |state| state.set(Gpr::RBX, Value::exactly(3))),
        ("another saved register", |state| state.set(Gpr(12), Value::Saved(Gpr(13)))),
        ("the stack pointer", |state| state.set(Gpr::RSP, Value::Frame(-32))),
        ("a word has a value", |state| state.write(-32, 8, Value::U32)),
        ("a word has another value", |state| state.write(-40, 8, Value::exactly(8))),
        ("the return address", |state| state.write(0, 8, Value::Saved(Gpr::RBX))),
        ("registers are copies", |state| state.copied(Home::register(Gpr::RBX), Home::register(Gpr(8)))),
        ("more was touched", |state| state.touched -= 8),
        ("there is more room", |state| state.room -= 8),
        ("the status was looked at", |state| state.pending = false),
        ("a table is longer", |state| state.longer = Some((0, 3))),
        ("a signature was compared", |state| {
            let entry = Entry::Constant { table: 0, index: 0 };
            state.checked = Some(Checked { table: 0, entry, signature: SignatureId(1) });
        }),
        ("other flags", |state| state.flags = Flags::Tested),
    ];
    for (what, change) in changes {
        let outcome = check(&bench, &image, |certificate| {
            let (head, mut state) = only(certificate);
            let before = state.clone();
            change(&mut state);
            assert_ne!(state, before, "{what}");
            certificate.claim(head, state);
        });
        assert!(outcome.is_some(), "{what} is accepted");
        // The stack pointer and the return address are used on the way to where the claim is compared.
        assert!(
            matches!(outcome, Some(Rule::Certificate | Rule::Return | Rule::Alignment | Rule::Frame)),
            "{what}: {outcome:?}"
        );
    }
}

#[test]
fn a_claim_may_say_less_than_is_true() {
    let bench = bench();
    let image = loops(&bench, 1, true);
    let less = |change: fn(&mut State)| {
        check(&bench, &image, |certificate| {
            let (head, mut state) = only(certificate);
            change(&mut state);
            certificate.claim(head, state);
        })
    };
    assert_eq!(less(|state| state.flags = Flags::Unknown), None);
    let register = |state: &mut State| {
        state.flags = Flags::Unknown;
        state.set(Gpr::RBX, Value::Any);
    };
    assert_eq!(less(register), None);
    assert_eq!(less(|state| state.write(-40, 8, Value::Any)), None);
    assert_eq!(less(|state| state.longer = None), None);
    // But not less than the code relies on.
    assert_eq!(less(|state| state.set(Gpr(12), Value::Any)), Some(Rule::Return));
    assert_eq!(less(|state| state.room = i32::MAX), Some(Rule::StackLimit));
    assert_eq!(less(|state| state.set(Gpr::RDX, Value::Any)), Some(Rule::Status));
}

#[test]
fn claims_belong_where_they_are() {
    let bench = bench();
    let image = loops(&bench, 2, true);
    assert_eq!(check(&bench, &image, |certificate| assert_eq!(claims(certificate).len(), 2)), None);
    let missing = check(&bench, &image, |certificate| {
        let (head, _) = claims(certificate).remove(1);
        certificate.retract(head);
    });
    assert_eq!(missing, Some(Rule::Certificate));
    let exchanged = check(&bench, &image, |certificate| {
        let both = claims(certificate);
        certificate.claim(both[0].0, both[1].1.clone());
        certificate.claim(both[1].0, both[0].1.clone());
    });
    assert_eq!(exchanged, Some(Rule::Certificate));
    let inside = check(&bench, &image, |certificate| {
        let (head, state) = claims(certificate).remove(0);
        certificate.claim(head + 1, state);
    });
    assert_eq!(inside, Some(Rule::Boundary));
    let outside = check(&bench, &image, |certificate| {
        let (head, state) = claims(certificate).remove(0);
        certificate.claim(head + 0x10_0000, state);
    });
    assert_eq!(outside, Some(Rule::Target));
    let of_nothing = check(&bench, &image, |certificate| {
        let (head, state) = claims(certificate).remove(0);
        certificate.retract(head);
        certificate.claim(head + 1, state);
    });
    // There, `test rdx, rdx` is `test edx, edx`.
    assert_eq!(of_nothing, Some(Rule::Status));
}

/// Code that breaks a rule only from the second round on is refused, whatever a certificate claims.
#[test]
fn no_certificate_helps_bad_code() {
    let bench = bench();
    let good = loops(&bench, 1, true);
    bench.accepts("loops that look at the status", good);
    let bad = loops(&bench, 1, false);
    bench.refuses(Rule::Status, "loops that do not", bad.clone());
    // The index is 0 at first, and an address later.
    let leaving = bench.with(SUBJECT, |a| {
        let mut again = a.create_label();
        a.xor(eax, eax)?;
        a.set_label(&mut again)?;
        a.mov(ecx, dword_ptr(rax + MEM))?;
        a.mov(rax, qword_ptr(rax + MEM))?;
        a.test(ecx, ecx)?;
        a.jne(again)?;
        a.ret()
    });
    bench.refuses(Rule::Memory, "an index of 64 bits from the second round on", leaving.clone());
    for image in [bad, leaving] {
        let outcome = with_units(&image, &bench.bytes, &bench.terms, |units| {
            let is_subject = |name| name == UnitName::Function(SUBJECT as u32);
            let unit = units.all().iter().find(|unit| is_subject(unit.name)).expect("a function of the module");
            let mut scratch = Scratch::default();
            // States of code that is in order, and the strongest that there is.
            let entry = State::at_entry();
            let mut found = Vec::new();
            for at in unit.range.start..unit.range.start + unit.range.len {
                let mut certificate = Certificate::default();
                certificate.claim(at, entry.clone());
                found.push(units.check(unit, &certificate, &mut scratch).is_ok());
            }
            found
        });
        assert!(outcome.expect("an image of that module").iter().all(|is_accepted| !is_accepted));
    }
}

#[test]
fn code_without_loops_needs_no_certificate() {
    let bench = bench();
    let image = loops(&bench, 0, true);
    assert_eq!(check(&bench, &image, |certificate| assert!(claims(certificate).is_empty())), None);
}
