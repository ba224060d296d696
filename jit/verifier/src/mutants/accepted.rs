//! Changes that the verifier accepts, one by one, for tests that run the code.

use super::dangerous::{self, Operator};
use super::subject::{Subject, Surroundings};
use super::{Patch, Random, describe, random};
use crate::declarations;
use crate::image::{Shared, Terms};
use crate::refusal::UnitName;
use crate::walk::Scratch;
use std::ops::ControlFlow;
use wave_contract::context::ContextLayout;
use wave_contract::image::CodeImage;

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

/// Changes accepted code in one place until `visit` says that it is enough: with each operator as often as with another, in
/// functions from number `first` on, at instructions whose offset in the text `is_place` wants. What is accepted goes to `visit`, of both families.
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
    mut visit: impl FnMut(Mutant) -> ControlFlow<()>,
) -> Tried {
    let info = declarations::read(module).expect("a module that can be read");
    let (shared, units) = Shared::new(image, &info, terms).expect("an image of that module");
    let all = Surroundings {
        shared: &shared,
        addressing: &terms.addressing,
        layout: ContextLayout::new(&info).expect("a small context"),
        text_len: u32::try_from(image.text.len()).expect("a small text"),
    };
    let (mut scratch, mut random, mut tried) = (Scratch::default(), Random::new(seed), Tried::default());
    let is_chosen = |name: &UnitName| matches!(name, UnitName::Function(index) if *index >= first);
    let mut subjects: Vec<_> = units
        .iter()
        .filter(|unit| is_chosen(&unit.name))
        .map(|unit| Subject::new(&all, &mut scratch, unit).unwrap_or_else(|| panic!("{} is refused", unit.name)))
        .map(|subject| {
            let places = (0..subject.instructions.len())
                .filter(|at| u32::try_from(subject.instructions[*at].ip()).is_ok_and(&is_place));
            (subject.unit.code.to_vec(), places.collect::<Vec<_>>(), subject)
        })
        .filter(|(_, places, _)| !places.is_empty())
        .collect();
    // One that is certainly bad for each that is not: none of them is accepted, so they cost little.
    let operators = || random::OPERATORS.iter().map(|operator| (operator, false));
    let certain = || dangerous::OPERATORS.iter().map(|operator| (operator, true));
    for (Operator { make, name }, is_certain) in std::iter::repeat_with(|| operators().chain(certain())).flatten() {
        let Some((code, places, subject)) = random.index(subjects.len()).map(|chosen| &mut subjects[chosen]) else { break };
        let Some(at) = random.pick(places).copied() else { continue };
        let Some(patch) = make(subject, at, &mut random) else { continue };
        let Some(accepted) = patch.is_accepted(subject, &mut scratch, code) else { continue };
        let (all, good) = match is_certain {
            true => (&mut tried.certain, &mut tried.certain_accepted),
            false => (&mut tried.random, &mut tried.random_accepted),
        };
        *all += 1;
        *good += u64::from(accepted);
        if !accepted || matches!(patch, Patch::Traps(..) | Patch::Sources(_)) {
            patch.undo(subject, code);
            continue;
        }
        let mut image = image.clone();
        let start = subject.unit.range.start as usize;
        image.text[start..start + code.len()].copy_from_slice(code);
        let mutant = Mutant {
            image,
            operator: name,
            class: random::class(subject, at, code, name),
            text: describe(subject, at, code, name),
        };
        patch.undo(subject, code);
        if visit(mutant).is_break() {
            break;
        }
    }
    tried
}
