//! Changes that the verifier accepts, one by one, for tests that run the code.

use super::dangerous::{self, Operator};
use super::subject::{Subject, Surroundings};
use super::{Patch, Random, describe, random};
use std::ops::ControlFlow;
use wave_compiler::Module;
use wave_contract::image::CodeImage;
use wave_verifier::{Scratch, Terms, UnitName, Units, with_units};

/// How often a change at random is tried with one operator, until one is accepted. Of those that break the contract none is, so
/// they are tried once for each.
const TRIES: u32 = 100;

/// Code with one change that was accepted.
pub struct Mutant {
    /// All of the code, with the change.
    pub image: CodeImage,
    /// How it was changed.
    pub operator: &'static str,
    /// What the change is about, as in the lists of `docs/verifier.md`.
    pub class: &'static str,
    /// The place, before and after.
    pub text: String,
}

/// What was tried on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Changes that break the contract for certain.
    pub certain: u64,
    /// Of these, accepted.
    pub certain_accepted: u64,
    /// Changes at random.
    pub random: u64,
    /// Of these, accepted.
    pub random_accepted: u64,
}

/// Changes accepted code in one place until `visit` says that it is enough: in functions from number `first` on, at instructions whose
/// offset in the text `is_place` wants. What is accepted goes to `visit`, one of each operator after the other.
///
/// # Panics
/// If the code is not accepted as it is.
pub fn visit(
    image: &CodeImage,
    module: &[u8],
    terms: &Terms,
    first: u32,
    is_place: impl Fn(u32) -> bool,
    seed: u64,
    visit: impl FnMut(Mutant) -> ControlFlow<()>,
) -> Tried {
    let parsed = Module::parse(module).expect("a module that can be read");
    with_units(image, module, terms, |units| {
        let all = Surroundings::new(units, image, parsed.info(), terms);
        visit_units(units, &all, image, first, is_place, seed, visit)
    })
    .expect("an image of that module")
}

fn visit_units(
    units: &Units<'_>,
    all: &Surroundings<'_>,
    image: &CodeImage,
    first: u32,
    is_place: impl Fn(u32) -> bool,
    seed: u64,
    mut visit: impl FnMut(Mutant) -> ControlFlow<()>,
) -> Tried {
    let (mut scratch, mut random, mut tried) = (Scratch::default(), Random::new(seed), Tried::default());
    let is_chosen = |name: &UnitName| matches!(name, UnitName::Function(index) if *index >= first);
    let mut subjects: Vec<_> = units
        .all()
        .iter()
        .filter(|unit| is_chosen(&unit.name))
        .map(|unit| Subject::new(all, &mut scratch, unit).unwrap_or_else(|| panic!("{} is refused", unit.name)))
        .map(|subject| (subject.unit.code.to_vec(), subject))
        .collect();
    let places: Vec<_> = (0..)
        .zip(&subjects)
        .flat_map(|(number, (_, subject))| (0..).zip(&subject.instructions).map(move |(at, found)| (number, at, found)))
        .filter(|(_, _, instruction)| u32::try_from(instruction.ip()).is_ok_and(&is_place))
        .map(|(number, at, _): (usize, usize, _)| (number, at))
        .collect();
    let families = [(random::OPERATORS, TRIES), (dangerous::OPERATORS, 1)];
    let operators = families.iter().flat_map(|(family, tries)| family.iter().map(move |operator| (operator, *tries)));
    let operators: Vec<_> = operators
        .map(|(operator, tries)| {
            let applies =
                |(number, at): &(usize, usize)| (operator.make)(&subjects[*number].1, *at, &mut random).is_some();
            (operator, tries, places.iter().copied().filter(applies).collect::<Vec<_>>())
        })
        .filter(|(_, _, places)| !places.is_empty())
        .collect();
    let rounds = std::iter::repeat_with(|| operators.iter()).take_while(|round| round.len() > 0).flatten();
    for (Operator { make, name }, tries, places) in rounds {
        for _ in 0..*tries {
            let Some((number, at)) = random.pick(places).copied() else { break };
            let (code, subject) = &mut subjects[number];
            let Some(patch) = make(subject, at, &mut random) else { continue };
            let Some(accepted) = patch.is_accepted(subject, &mut scratch, code) else { continue };
            let (all, good) = match *tries {
                1 => (&mut tried.certain, &mut tried.certain_accepted),
                _ => (&mut tried.random, &mut tried.random_accepted),
            };
            *all += 1;
            *good += u64::from(accepted);
            let mutant = (accepted && matches!(patch, Patch::Code { .. })).then(|| {
                let mut image = image.clone();
                let start = subject.unit.range.start as usize;
                image.text[start..start + code.len()].copy_from_slice(code);
                let (class, text) = (random::class(subject, at, code, name), describe(subject, at, code, name));
                Mutant { image, operator: name, class, text }
            });
            patch.undo(subject, code);
            if let Some(mutant) = mutant {
                if visit(mutant).is_break() {
                    return tried;
                }
                break;
            }
        }
    }
    tried
}
