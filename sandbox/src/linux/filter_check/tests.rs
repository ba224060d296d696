//! The check against an interpreter of programs, and against the rules written in another way.

#![allow(clippy::cast_possible_truncation, reason = "numbers are drawn below small bounds")]

use super::region::halves;
use super::*;
use crate::linux::bpf::evaluate;

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Rules of each kind: bounds, masks across both halves, two alternatives, any arguments, an answer, an origin.
fn rules() -> Rules {
    let equal = |argument, value| Requirement::Equal { argument, mask: u64::MAX, value };
    let masked = |argument, mask, value| Requirement::Equal { argument, mask, value };
    let at_most = |argument, value| Requirement::AtMost { argument, value };
    let call = |number, alternatives| (number, Rule::Permit(alternatives));
    Rules {
        denied_origin: Some(AddressRange { start: 0x7f12_ffff_f000, len_bytes: 0x2000 }),
        by_number: BTreeMap::from([
            (110, Rule::Answer(libc::SECCOMP_RET_ERRNO | 129)),
            call(0, vec![vec![]]),
            call(1, vec![vec![equal(0, 1)], vec![equal(0, 2)]]),
            call(9, vec![vec![masked(3, !0x4_0000, 0x22), at_most(2, 3)]]),
            call(10, vec![vec![equal(0, 0x1234_0000_0000), at_most(1, 0x2_0000_0000), masked(2, u64::MAX, 3)]]),
            call(72, vec![vec![masked(2, !0x0002_8c02, 0), equal(1, 4)]]),
        ]),
    }
}

/// The rules' answer to one call.
fn answer(rules: &Rules, call: &SystemCall) -> u32 {
    let holds = |requirement: &Requirement| match *requirement {
        Requirement::Equal { argument, mask, value } => call.arguments[usize::from(argument)] & mask == value,
        Requirement::AtMost { argument, value } => call.arguments[usize::from(argument)] <= value,
    };
    let is_denied =
        |range: AddressRange| (range.start..=range.start + range.len_bytes).contains(&call.instruction_pointer);
    if call.arch != X86_64 || call.number >= X32_BIT || rules.denied_origin.is_some_and(is_denied) {
        return TRAP;
    }
    match rules.by_number.get(&call.number) {
        Some(Rule::Answer(answer)) => *answer,
        Some(Rule::Permit(alternatives)) if alternatives.iter().any(|rule| rule.iter().all(holds)) => ALLOW,
        _ => TRAP,
    }
}

/// A program for the rules, test by test.
fn program(rules: &Rules) -> Vec<Instruction> {
    let (load, equal, at_least, above, give) = (0x20, 0x15, 0x35, 0x25, 0x06);
    let mut code = vec![
        instruction(load, 0, 0, 4),
        instruction(equal, 1, 0, X86_64),
        instruction(give, 0, 0, TRAP),
        instruction(load, 0, 0, 0),
        instruction(at_least, 0, 1, X32_BIT),
        instruction(give, 0, 0, TRAP),
    ];
    if let Some(AddressRange { start, len_bytes }) = rules.denied_origin {
        let ([low, high], [last_low, last_high]) = (halves(start), halves(start + len_bytes));
        assert_eq!(high + 1, last_high, "the range crosses one border of 4 GiB");
        code.extend([
            instruction(load, 0, 0, 12),
            instruction(equal, 0, 3, high),
            instruction(load, 0, 0, 8),
            instruction(at_least, 0, 5, low),
            instruction(give, 0, 0, TRAP),
            instruction(equal, 0, 3, last_high),
            instruction(load, 0, 0, 8),
            instruction(above, 1, 0, last_low),
            instruction(give, 0, 0, TRAP),
        ]);
    }
    code.push(instruction(load, 0, 0, 0));
    for (number, rule) in &rules.by_number {
        let mut body = Vec::new();
        let (alternatives, otherwise) = match rule {
            Rule::Answer(answer) => (&[][..], *answer),
            Rule::Permit(alternatives) => (&alternatives[..], TRAP),
        };
        for alternative in alternatives {
            let mut tests = Vec::new();
            for requirement in alternative {
                let (argument, words) = match *requirement {
                    Requirement::Equal { argument, mask, value } => (argument, Ok((halves(mask), halves(value)))),
                    Requirement::AtMost { argument, value } => (argument, Err(halves(value))),
                };
                let at = |half: usize| 16 + 8 * u32::from(argument) + 4 * half as u32;
                match words {
                    Ok((masks, values)) => (0..2).for_each(|half| {
                        tests.push((instruction(load, 0, 0, at(half)), false));
                        tests.push((instruction(0x54, 0, 0, masks[half]), false));
                        tests.push((instruction(equal, 0, 0, values[half]), true));
                    }),
                    Err([low, high]) => tests.extend([
                        (instruction(load, 0, 0, at(1)), false),
                        (instruction(above, 0, 0, high), true),
                        (instruction(equal, 0, 2, high), false),
                        (instruction(load, 0, 0, at(0)), false),
                        (instruction(above, 0, 0, low), true),
                    ]),
                }
            }
            let len = tests.len();
            for (at, (mut test, fails)) in tests.into_iter().enumerate() {
                // Past the rest of the alternative and its answer.
                let skipped = u8::try_from(len - at).expect("a short alternative");
                match (fails, test.code) {
                    (true, 0x15) => test.jf = skipped,
                    (true, _) => test.jt = skipped,
                    _ => {}
                }
                body.push(test);
            }
            body.push(instruction(give, 0, 0, ALLOW));
        }
        body.push(instruction(give, 0, 0, otherwise));
        code.push(instruction(equal, 0, u8::try_from(body.len()).expect("a short rule"), *number));
        code.append(&mut body);
    }
    code.push(instruction(give, 0, 0, TRAP));
    code
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }
}

/// Calls at and beside every bound of the rules.
fn calls(rules: &Rules, random: &mut Random) -> SystemCall {
    let mut near = |values: &[u64]| {
        let value = values[random.below(values.len() as u64) as usize];
        match random.below(6) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => value ^ 1 << random.below(64),
            3 => value | 1 << 32,
            _ => value,
        }
    };
    let numbers: Vec<u64> = rules.by_number.keys().map(|number| u64::from(*number)).collect();
    let values = [0, 1, 2, 3, 4, 0x22, 0x4_0022, 0x8000, 0x1234_0000_0000, 0x2_0000_0000, 0x1_ffff_ffff, u64::MAX];
    SystemCall {
        number: near(&numbers) as u32,
        arch: if near(&[0, 9, 17]) == 0 { 0x4000_0003 } else { X86_64 },
        instruction_pointer: near(&[0, 0, 0x7f12_ffff_f000, 0x7f13_0000_1000, 0x7f13_0000_0000]),
        arguments: std::array::from_fn(|_| near(&values)),
    }
}

#[test]
fn a_right_program_is_accepted() {
    let rules = rules();
    let program = program(&rules);
    let paths = check(&program, &rules).unwrap_or_else(|difference| panic!("{difference}"));
    assert!(paths > rules.by_number.len(), "{paths}");
    let mut random = Random(1);
    for _ in 0..100_000 {
        let call = calls(&rules, &mut random);
        assert_eq!(evaluate(&program, &call), Some(answer(&rules, &call)), "{call}");
    }
}

/// For each program that differs in one place, the check names a call that does differ. If it finds none, none of many calls differs.
#[test]
fn mutants_are_told_apart() {
    let rules = rules();
    let right = program(&rules);
    let mut random = Random(2);
    let (mut equal, mut different, mut malformed) = (0, 0, 0);
    for _ in 0..6_000 {
        let mut program = right.clone();
        let at = random.below(program.len() as u64) as usize;
        let place = &mut program[at];
        match random.below(6) {
            0 => place.k ^= 1 << random.below(32),
            1 => (place.jt, place.jf) = (place.jf, place.jt),
            2 => place.jt = place.jt.wrapping_add(1),
            3 => place.jf = place.jf.wrapping_add(1),
            4 => place.k = place.k.wrapping_add(if random.below(2) == 0 { 1 } else { u32::MAX }),
            _ => place.code = [0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06][random.below(7) as usize],
        }
        match check(&program, &rules) {
            Ok(_) => {
                equal += 1;
                for _ in 0..2_000 {
                    let call = calls(&rules, &mut random);
                    assert_eq!(evaluate(&program, &call), Some(answer(&rules, &call)), "{at}: {call}");
                }
            }
            Err(Difference::Answer { call, expected, found }) => {
                different += 1;
                assert_eq!((evaluate(&program, &call), answer(&rules, &call)), (Some(found), expected), "{at}: {call}");
                assert_ne!(found, expected);
            }
            Err(Difference::Unknown(_)) => malformed += 1,
            Err(Difference::TooLarge) => panic!("{at}: a small program is too large"),
        }
    }
    assert!(equal > 500 && different > 1_000 && malformed > 100, "{equal} {different} {malformed}");
}

/// Wrong rules differ from a right program, in a call that shows where.
#[test]
fn a_rule_too_many_or_too_few_is_seen() {
    let program = program(&rules());
    let differs = |change: &dyn Fn(&mut Rules)| {
        let mut rules = rules();
        change(&mut rules);
        match check(&program, &rules) {
            Err(Difference::Answer { call, expected, found }) => (call, expected, found),
            other => panic!("{other:?}"),
        }
    };
    let (call, expected, found) = differs(&|rules| drop(rules.by_number.remove(&0)));
    assert_eq!((call.number, expected, found), (0, TRAP, ALLOW));
    let (call, expected, found) = differs(&|rules| {
        rules.by_number.insert(59, Rule::Permit(vec![vec![]]));
    });
    assert_eq!((call.number, expected, found), (59, ALLOW, TRAP));
    let (call, expected, _) = differs(&|rules| match rules.by_number.get_mut(&1) {
        Some(Rule::Permit(alternatives)) => drop(alternatives.pop()),
        _ => panic!("a rule that permits"),
    });
    assert_eq!((call.number, call.arguments[0], expected), (1, 2, TRAP));
    let (call, ..) = differs(&|rules| {
        rules.denied_origin = Some(AddressRange { start: 0x7f12_ffff_f000, len_bytes: 0x2001 });
    });
    assert_eq!(call.instruction_pointer, 0x7f13_0000_1001);
    let (call, ..) = differs(&|rules| {
        let answer = rules.by_number.remove(&110).expect("the answer");
        rules.by_number.insert(111, answer);
    });
    assert!([110, 111].contains(&call.number), "{call}");
}

#[test]
fn instructions_that_no_filter_of_ours_has_are_rejected() {
    let rules = rules();
    let give = instruction(0x06, 0, 0, TRAP);
    let load = instruction(0x20, 0, 0, 0);
    for (program, at) in [
        (vec![], 0),
        (vec![load], 1),
        (vec![instruction(0x20, 0, 0, 2), give], 0),
        (vec![instruction(0x20, 0, 0, 64), give], 0),
        (vec![instruction(0x15, 0, 0, 0), give], 0),
        (vec![load, instruction(0x54, 0, 0, 1), instruction(0x35, 0, 0, 1), give], 2),
        (vec![load, instruction(0x2d, 0, 0, 0), give], 1),
        (vec![instruction(0x05, 0, 0, u32::MAX), give], u32::MAX as usize + 1),
    ] {
        assert_eq!(check(&program, &rules), Err(Difference::Unknown(at)), "{program:?}");
    }
}
