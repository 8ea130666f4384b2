//! The client's half of the key exchange, and its derivation of keys (RFC 4253 sections 7.2 and 8,
//! RFC 8731, draft-ietf-sshm-mlkem-hybrid-kex).

use super::{Counter, payload};
use crate::{
    Cipher, Random,
    msg::{KexEcdhInit, KexEcdhReply},
    wire::Reader,
};
use ed25519_dalek::{Signature, VerifyingKey};
use ml_kem::{
    kem::{Decapsulate, KeyExport},
    ml_kem_768::DecapsulationKey,
};
use sha2::{Digest, Sha256};
use ssh_lite_cipher::{IV_LEN, KEY_LEN, Key};
use std::vec::Vec;
use x25519_dalek::{PublicKey, StaticSecret};

/// The client's ephemeral keys.
pub struct Secret {
    classic: StaticSecret,
    post_quantum: Option<DecapsulationKey>,
    public: Vec<u8>,
}

impl Secret {
    /// The keys, and the message that begins the exchange.
    pub fn new(method: &str, random: &mut Counter) -> (Self, Vec<u8>) {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let classic = StaticSecret::from(seed);
        let mut public = Vec::new();
        let post_quantum = (method == "mlkem768x25519-sha256").then(|| {
            let mut seed = [0; 64];
            random.fill(&mut seed);
            let key = DecapsulationKey::from_seed(seed.into());
            public.extend_from_slice(&key.encapsulation_key().to_bytes());
            key
        });
        public.extend_from_slice(PublicKey::from(&classic).as_bytes());
        let message = payload(&KexEcdhInit { public: &public });
        (Self { classic, post_quantum, public }, message)
    }

    /// K as the hash has it, and H, after checking the server's signature of it.
    pub fn finish(
        self,
        idents: (&str, &str),
        kexinit: &[u8],
        server_kexinit: &[u8],
        reply: &KexEcdhReply<'_>,
    ) -> (Vec<u8>, [u8; 32]) {
        let k = self.shared(reply.public);
        let mut hasher = Sha256::new();
        let strings: [&[u8]; 7] = [
            idents.0.as_bytes(),
            idents.1.as_bytes(),
            kexinit,
            server_kexinit,
            reply.host_key,
            &self.public,
            reply.public,
        ];
        for string in strings {
            hasher.update(string_of(string));
        }
        hasher.update(&k);
        let hash: [u8; 32] = hasher.finalize().into();

        let mut host_key = Reader::new(reply.host_key);
        let mut signature = Reader::new(reply.signature);
        assert_eq!(host_key.string(), Ok(&b"ssh-ed25519"[..]));
        assert_eq!(signature.string(), Ok(&b"ssh-ed25519"[..]));
        let host_key = VerifyingKey::from_bytes(host_key.string().unwrap().try_into().unwrap()).unwrap();
        let signature = Signature::from_slice(signature.string().unwrap()).unwrap();
        host_key.verify_strict(&hash, &signature).expect("the host key has signed H");
        (k, hash)
    }

    fn shared(&self, theirs: &[u8]) -> Vec<u8> {
        let (ciphertext, point) = theirs.split_at(theirs.len() - 32);
        let point: [u8; 32] = point.try_into().unwrap();
        let classic = self.classic.diffie_hellman(&PublicKey::from(point));
        match &self.post_quantum {
            None => mpint(classic.as_bytes()),
            Some(key) => {
                let post_quantum = key.decapsulate_slice(ciphertext).unwrap();
                let hasher = Sha256::new().chain_update(post_quantum).chain_update(classic);
                string_of(&hasher.finalize())
            }
        }
    }
}

/// What both directions' keys are made of.
pub struct Keys {
    pub cipher: Cipher,
    pub k: Vec<u8>,
    pub hash: [u8; 32],
    pub session_id: [u8; 32],
}

impl Keys {
    pub fn derive(&self, iv_letter: u8, key_letter: u8) -> Key {
        let iv: [u8; IV_LEN] = self.expand(iv_letter);
        let key: [u8; KEY_LEN] = self.expand(key_letter);
        Key::new(self.cipher, &key, &iv)
    }

    fn expand<const N: usize>(&self, letter: u8) -> [u8; N] {
        let start = || Sha256::new().chain_update(&self.k).chain_update(self.hash);
        let mut out = start().chain_update([letter]).chain_update(self.session_id).finalize().to_vec();
        while out.len() < N {
            let more = start().chain_update(&out).finalize();
            out.extend_from_slice(&more);
        }
        *out.first_chunk().unwrap()
    }
}

fn string_of(bytes: &[u8]) -> Vec<u8> {
    let mut string = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    string.extend_from_slice(bytes);
    string
}

/// RFC 4251 section 5.
fn mpint(big_endian: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = big_endian.iter().copied().skip_while(|&b| b == 0).collect();
    if digits.first().is_some_and(|&b| b >= 0x80) {
        digits.insert(0, 0);
    }
    string_of(&digits)
}
