//! Messages of DNS: a question for the addresses of a name, and what an answer says to it (RFC 1035, RFC 3596).
//!
//! Whoever answers may be hostile. What is believed: an answer to this question, with not too many records, and in it the addresses of the
//! name or of the name that it is an alias of. Other sections are not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An answer with more records is not read.
const MOST_RECORDS: u32 = 128;

/// A name with more addresses is refused.
pub const MOST_ADDRESSES: usize = 16;

/// How often a name may be an alias.
const MOST_ALIASES: usize = 8;

/// A name in a message, with the lengths of its parts (RFC 1035, 2.3.4).
const MOST_NAME_BYTES: usize = 255;

const CLASS_IN: u16 = 1;
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

const RECURSION_DESIRED: u16 = 1 << 8;
const TRUNCATED: u16 = 1 << 9;
const RESPONSE: u16 = 1 << 15;
/// The kind of a question, 0 for one of this kind.
const OPCODE: u16 = 0xf << 11;
const CODE: u16 = 0xf;
const NO_ERROR: u16 = 0;
const NO_SUCH_NAME: u16 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    const fn record(self) -> u16 {
        match self {
            Self::V4 => A,
            Self::V6 => AAAA,
        }
    }
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These addresses; none if the name has none of this family.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// More than fits: the server has to be asked by TCP.
    Truncated,
    /// The server could not answer, or the answer is not to be believed: why.
    Failed(String),
    /// It is no answer to this question.
    Another,
}

/// The question, in bytes. The name is a [`HostName`](wave_policy::HostName).
pub fn question(id: u16, name: &str, family: Family) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(in_message(name));
    bytes.extend(family.record().to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    bytes
}

/// A name in lower case, each part with its length in front, and one of no bytes at the end.
fn in_message(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// Reads what came.
pub fn answer(bytes: &[u8], id: u16, name: &str, family: Family) -> Answer {
    read(&mut Reader { bytes, at: 0 }, id, name, family).unwrap_or(Answer::Another)
}

/// `None` if it is malformed, or no answer to the question.
fn read(message: &mut Reader<'_>, id: u16, name: &str, family: Family) -> Option<Answer> {
    let [found, flags, questions, answers, others, more] = message.numbers()?;
    if found != id || flags & RESPONSE == 0 || flags & OPCODE != 0 || questions != 1 {
        return None;
    }
    let name = in_message(name);
    if message.name()? != name || message.numbers()? != [family.record(), CLASS_IN] {
        return None;
    }
    let records: u32 = [answers, others, more].map(u32::from).iter().sum();
    if records > MOST_RECORDS {
        return Some(Answer::Failed(format!("an answer with {records} records, more than {MOST_RECORDS}")));
    }
    if flags & TRUNCATED != 0 {
        return Some(Answer::Truncated);
    }
    match flags & CODE {
        NO_ERROR => {
            let records: Option<Vec<_>> = (0..answers).map(|_| message.record()).collect();
            Some(addresses(&records?, name, family))
        }
        NO_SUCH_NAME => Some(Answer::NoSuchName),
        code => Some(Answer::Failed(format!("an answer with error {code}"))),
    }
}

/// What a record says of a name.
enum Data {
    Address(IpAddr),
    Alias(Vec<u8>),
    Other,
}

fn addresses(records: &[(Vec<u8>, Data)], mut name: Vec<u8>, family: Family) -> Answer {
    for _ in 0..=MOST_ALIASES {
        let (mut found, mut alias) = (Vec::new(), None);
        for (_, data) in records.iter().filter(|(owner, _)| *owner == name) {
            match data {
                Data::Address(address) if address.is_ipv4() == (family == Family::V4) && !found.contains(address) => {
                    found.push(*address);
                }
                Data::Alias(to) if alias.is_none() => alias = Some(to),
                Data::Address(_) | Data::Alias(_) | Data::Other => {}
            }
        }
        match alias {
            _ if found.len() > MOST_ADDRESSES => {
                return Answer::Failed(format!("{} addresses, more than {MOST_ADDRESSES}", found.len()));
            }
            Some(alias) if found.is_empty() => name.clone_from(alias),
            _ => return Answer::Addresses(found),
        }
    }
    Answer::Failed(format!("a name that is an alias more than {MOST_ALIASES} times"))
}

/// Reads a message. `None` from each method: it is malformed there.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn numbers<const COUNT: usize>(&mut self) -> Option<[u16; COUNT]> {
        let mut numbers = [0; COUNT];
        for number in &mut numbers {
            *number = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        }
        Some(numbers)
    }

    /// A name as [`in_message`] writes it. The rest of one may lie farther in front: each time before the place where the reading began, so
    /// that it ends.
    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut begin, mut behind) = (Vec::new(), self.at, None);
        loop {
            let len = *self.take(1)?.first()?;
            match len {
                0 => break,
                1..=63 => {
                    name.push(len);
                    name.extend(self.take(usize::from(len))?.to_ascii_lowercase());
                    if name.len() >= MOST_NAME_BYTES {
                        return None;
                    }
                }
                0xc0.. => {
                    let place = usize::from(len & 0x3f) << 8 | usize::from(*self.take(1)?.first()?);
                    behind = behind.or(Some(self.at));
                    if place >= begin {
                        return None;
                    }
                    (begin, self.at) = (place, place);
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(self.at);
        name.push(0);
        Some(name)
    }

    fn record(&mut self) -> Option<(Vec<u8>, Data)> {
        let name = self.name()?;
        let [kind, class, _, _, len] = self.numbers()?;
        let begin = self.at;
        let bytes = self.take(usize::from(len))?;
        let data = match (class, kind) {
            (CLASS_IN, A) => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
            (CLASS_IN, AAAA) => Data::Address(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
            (CLASS_IN, CNAME) => {
                let mut alias = Reader { bytes: self.bytes, at: begin };
                let to = alias.name()?;
                Data::Alias((alias.at == self.at).then_some(to)?)
            }
            _ => Data::Other,
        };
        Some((name, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{A, AAAA, CNAME, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};

    const ID: u16 = 0x1234;

    /// Another implementation writes what is read here.
    fn asked(name: &'static str, kind: TYPE) -> Question<'static> {
        Question::new(Name::new(name).unwrap(), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false)
    }

    fn reply(question: &'static str, records: &[(&'static str, RData<'static>)]) -> Packet<'static> {
        let mut packet = Packet::new_reply(ID);
        packet.questions.push(asked(question, TYPE::A));
        for (name, data) in records {
            packet.answers.push(ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, data.clone()));
        }
        packet
    }

    fn a(octets: [u8; 4]) -> RData<'static> {
        RData::A(A { address: u32::from_be_bytes(octets) })
    }

    fn alias(name: &'static str) -> RData<'static> {
        RData::CNAME(CNAME(Name::new(name).unwrap()))
    }

    fn read(packet: &Packet<'_>) -> Answer {
        answer(&packet.build_bytes_vec_compressed().unwrap(), ID, "db.example", Family::V4)
    }

    fn found(addresses: &[[u8; 4]]) -> Answer {
        Answer::Addresses(addresses.iter().map(|octets| IpAddr::from(*octets)).collect())
    }

    #[test]
    fn a_question_is_what_the_specification_says() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x07example\x00\x00\x1c\x00\x01";
        assert_eq!(question(ID, "db.example", Family::V6), expected);
    }

    #[test]
    fn addresses_of_the_name_and_of_its_aliases_count() {
        let records = [("db.example", a([192, 0, 2, 1])), ("DB.example", a([192, 0, 2, 2])), ("x", a([192, 0, 2, 3]))];
        assert_eq!(read(&reply("db.example", &records)), found(&[[192, 0, 2, 1], [192, 0, 2, 2]]));
        assert_eq!(read(&reply("Db.eXample", &records)), found(&[[192, 0, 2, 1], [192, 0, 2, 2]]), "case is none");
        let records =
            [("b.example", a([192, 0, 2, 7])), ("a.example", alias("b.example")), ("db.example", alias("a.example"))];
        assert_eq!(read(&reply("db.example", &records)), found(&[[192, 0, 2, 7]]), "in any order");
        assert_eq!(read(&reply("db.example", &records[..2])), found(&[]), "an alias of another name");
        assert_eq!(read(&reply("db.example", &[])), found(&[]));
        let v6 = [("db.example", RData::AAAA(AAAA { address: 1 }))];
        assert_eq!(read(&reply("db.example", &v6)), found(&[]), "another family than was asked for");
    }

    #[test]
    fn t46_what_is_no_answer_to_the_question_is_passed_over() {
        let good = reply("db.example", &[("db.example", a([192, 0, 2, 1]))]);
        assert_eq!(read(&good), found(&[[192, 0, 2, 1]]));
        let mut wrong = good.clone();
        wrong.set_id(ID ^ 1);
        let mut query = good.clone();
        query.remove_flags(PacketFlag::RESPONSE);
        let mut twice = good.clone();
        twice.questions.push(asked("db.example", TYPE::A));
        let mut none = good.clone();
        none.questions.clear();
        let mut six = good.clone();
        six.questions = vec![asked("db.example", TYPE::AAAA)];
        let other = reply("ab.example", &[("db.example", a([192, 0, 2, 1]))]);
        let below = reply("a.db.example", &[("db.example", a([192, 0, 2, 1]))]);
        for packet in [wrong, query, twice, none, six, other, below] {
            assert_eq!(read(&packet), Answer::Another, "{packet:?}");
        }
        let bytes = good.build_bytes_vec().unwrap();
        for len in 0..bytes.len() {
            assert_eq!(answer(&bytes[..len], ID, "db.example", Family::V4), Answer::Another, "{len}");
        }
    }

    #[test]
    fn t46_what_a_server_says_instead_of_addresses_is_told_apart() {
        let mut packet = reply("db.example", &[("db.example", a([192, 0, 2, 1]))]);
        *packet.rcode_mut() = RCODE::NameError;
        assert_eq!(read(&packet), Answer::NoSuchName);
        *packet.rcode_mut() = RCODE::ServerFailure;
        assert_eq!(read(&packet), Answer::Failed("an answer with error 2".to_owned()));
        *packet.rcode_mut() = RCODE::NoError;
        packet.set_flags(PacketFlag::TRUNCATION);
        assert_eq!(read(&packet), Answer::Truncated);
    }

    #[test]
    fn t46_hostile_answers_are_bounded() {
        let around = [("db.example", alias("a.example")), ("a.example", alias("db.example"))];
        assert!(
            matches!(read(&reply("db.example", &around)), Answer::Failed(what) if what.contains("alias more than 8"))
        );
        let own = [("db.example", alias("db.example"))];
        assert!(matches!(read(&reply("db.example", &own)), Answer::Failed(_)));
        let many = |count: u8| -> Vec<_> { (0..count).map(|last| ("db.example", a([192, 0, 2, last]))).collect() };
        assert!(matches!(read(&reply("db.example", &many(16))), Answer::Addresses(all) if all.len() == 16));
        assert_eq!(read(&reply("db.example", &many(17))), Answer::Failed("17 addresses, more than 16".to_owned()));
        assert!(matches!(read(&reply("db.example", &many(129))), Answer::Failed(what) if what.contains("129 records")));
        // Counts that the bytes do not have.
        let mut bytes = reply("db.example", &many(1)).build_bytes_vec().unwrap();
        for at in [6, 8, 10] {
            let old = bytes[at];
            bytes[at] = 0xff;
            assert!(matches!(answer(&bytes, ID, "db.example", Family::V4), Answer::Failed(_)));
            bytes[at] = old;
        }
    }

    /// A name that points at itself, or far into the message and back, ends.
    #[test]
    fn t46_compressed_names_do_not_go_around() {
        let head = b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x02db\x07example\x00\x00\x01\x00\x01";
        let at = u8::try_from(head.len()).unwrap();
        for name in [[0xc0, at], [0xc0, at + 2], [0xff, 0xff], [0xc0, 0]] {
            let tail = [&name[..], &name[..], b"\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"].concat();
            let read = answer(&[&head[..], &tail].concat(), ID, "db.example", Family::V4);
            assert!(matches!(read, Answer::Another) || read == found(&[]), "{name:?}: {read:?}");
        }
        let tail = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
        assert_eq!(answer(&[&head[..], tail].concat(), ID, "db.example", Family::V4), found(&[[192, 0, 2, 1]]));
    }

    /// One changed byte never makes another address out of nothing: what is read is one of these answers, and reading ends.
    #[test]
    fn every_changed_byte_is_read_without_harm() {
        let records = [("db.example", alias("a.example")), ("a.example", a([192, 0, 2, 1]))];
        let bytes = reply("db.example", &records).build_bytes_vec_compressed().unwrap();
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[at] = value;
                if let Answer::Addresses(all) = answer(&changed, ID, "db.example", Family::V4) {
                    assert!(all.len() <= 1);
                }
            }
        }
    }
}
