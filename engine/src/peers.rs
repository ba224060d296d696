//! Networks from which peers may connect.

use wave_policy::clean;
use wave_wasi::PeerRule;

/// Parses `ADDRESS[/BITS]`.
///
/// # Errors
/// The reason why the text is invalid. Ambiguous text is an error and never means every address (T47).
pub fn parse_network(text: &str) -> Result<PeerRule, String> {
    let (network, bits) = wave_policy::parse_network(text)?;
    PeerRule::new(network.octets(), bits).ok_or_else(|| format!("`{}` is no network", clean(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(network: [u8; 16], bits: u8) -> Result<PeerRule, String> {
        Ok(PeerRule::new(network, bits).expect("a plain network"))
    }

    #[test]
    fn networks_of_both_families() {
        let ten = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0];
        assert_eq!(parse_network("10.0.0.0/8"), rule(ten, 104));
        assert_eq!(parse_network("10.0.0.0"), rule(ten, 128));
        assert_eq!(parse_network("0.0.0.0/0"), rule([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0], 96));
        assert_eq!(parse_network("::/0"), rule([0; 16], 0));
        let mut local = [0; 16];
        local[15] = 1;
        assert_eq!(parse_network("::1"), rule(local, 128));
        for text in ["10.0.0.0/8", "10.0.0.0/32", "0.0.0.0/0", "::/0", "::1/128", "fd00::/8", "::/96"] {
            assert_eq!(parse_network(text).map(|rule| rule.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn t47_unclear_networks_are_refused() {
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "::1/129",
            "10.0.0",
            "[::1]",
            "host",
            "::/0/0",
            "10.0.0.0/8 ",
        ] {
            assert!(parse_network(text).is_err(), "{text}");
        }
    }
}
