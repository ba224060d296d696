//! Limits: the total use never exceeds the limit (T107, T109, T110).

use super::config;
use super::inputs::{long, near, word};
use crate::limits::{Account, Budgets, at_most};
use crate::polls::admit_count;
use crate::{Errno, LimitName, Limits, Rule};
use proptest::collection::vec;
use proptest::prelude::*;

fn why<T>(result: Result<T, Errno>) -> Result<T, (Errno, Rule)> {
    result.map_err(|errno| (errno, errno.rule()))
}

proptest! {
    #![proptest_config(config(2048))]

    #[test]
    fn t109_a_call_moves_the_least_of_what_it_may(left in long(), per_call in word()) {
        let most = at_most(left, per_call) as u128;
        prop_assert!(most <= u128::from(left) && most <= u128::from(per_call));
        prop_assert!(most == u128::from(left) || most == u128::from(per_call));
    }

    #[test]
    fn t109_a_call_that_cannot_be_short_is_whole_or_refused(len in word(), call_bytes in word()) {
        let limits = Limits { call_bytes, ..Limits::default() };
        prop_assert!(limits.per_call() >= 1);
        let fits = len <= call_bytes || len == 1;
        prop_assert_eq!(why(limits.admit_whole(len)), if fits { Ok(()) } else { Err((Errno::TOOBIG, Rule::Limit(LimitName::CallBytes))) });
    }

    #[test]
    fn t110_no_file_passes_its_size((limit, size) in long().prop_flat_map(|limit| {
        (Just(limit), prop_oneof![long(), near(limit)])
    })) {
        let limits = Limits { file_size_bytes: limit, ..Limits::default() };
        let too_large = (Errno::FBIG, Rule::Limit(LimitName::FileSize));
        prop_assert_eq!(why(limits.admit_size(size)), if size > limit { Err(too_large) } else { Ok(()) });
        // A write that starts there ends at the limit, so there has to be room for a byte.
        let room = i128::from(limit) - i128::from(size);
        prop_assert_eq!(why(limits.admit_from(size)).map(i128::from), if room > 0 { Ok(room) } else { Err(too_large) });
    }

    #[test]
    fn t2_a_poll_has_one_subscription_or_more_up_to_the_limit(count in word(), limit in word()) {
        let expected = match count {
            0 => Err((Errno::INVAL, Rule::None)),
            n if n > limit => Err((Errno::INVAL, Rule::Limit(LimitName::Subscriptions))),
            _ => Ok(()),
        };
        prop_assert_eq!(why(admit_count(count, limit)), expected);
    }

    #[test]
    fn t110_an_account_holds_what_was_put_on_it_less_what_was_used(
        written_bytes in long(), output_bytes in long(), entries in 0..4_u64, made in vec(long(), 0..4), used in vec((0..3u8, long()), 0..8), reserve in long(),
    ) {
        let limits = Limits { written_bytes, output_bytes, entries, ..Limits::default() };
        let accounts = [Account::Files, Account::Output, Account::Free];
        let mut budgets = Budgets::new(&limits);
        for (account, bytes) in &used {
            budgets.charge(accounts[usize::from(*account)], *bytes);
        }
        // A change that was made is charged, one that was denied is not.
        let mut of_names = 0;
        let mut names = 0;
        for text in &made {
            let Ok(claim) = budgets.admit_entry(*text) else { continue };
            budgets.spend(&claim);
            of_names += 4096 + u128::from(*text);
            names += 1;
        }
        let left = |which: u8, limit: u64| {
            let used = used.iter().filter(|(account, _)| *account == which).map(|(_, bytes)| u128::from(*bytes));
            let names = if which == 0 { of_names } else { 0 };
            u128::from(limit).saturating_sub(used.sum::<u128>() + names)
        };
        let (files, output) = (left(0, written_bytes), left(1, output_bytes));
        let some = |left, rule| if left > 0 { Ok(left) } else { Err((Errno::NOSPC, rule)) };
        prop_assert_eq!(why(budgets.left(Account::Files)).map(u128::from), some(files, Rule::Limit(LimitName::Written)));
        prop_assert_eq!(why(budgets.left(Account::Output)).map(u128::from), some(output, Rule::Limit(LimitName::Output)));
        prop_assert_eq!(budgets.left(Account::Free), Ok(u64::MAX));
        prop_assert_eq!(budgets.admit_reserve(reserve).is_ok(), u128::from(reserve) <= files);
        prop_assert_eq!(budgets.admit_growth(reserve).is_ok(), u128::from(reserve) <= files);
        prop_assert!(names <= entries);
        let expected = match (names == entries, 4096 + u128::from(reserve) <= files) {
            (true, _) => Err((Errno::NOSPC, Rule::Limit(LimitName::Entries))),
            (false, false) => Err((Errno::NOSPC, Rule::Limit(LimitName::Written))),
            (false, true) => Ok(()),
        };
        prop_assert_eq!(why(budgets.admit_entry(reserve)).map(drop), expected);
    }
}
