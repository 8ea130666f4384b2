use super::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

type NinepAndWords = (Option<(u16, Generation)>, Vec<String>);

/// What the line says, or the sentence about what is wrong with it.
fn parse(command: &str) -> Result<NinepAndWords, String> {
    let mut room = vec![0; 4096];
    let line = ExecLine::parse(command.as_bytes(), &mut room).map_err(|error| error.to_string())?;
    let words = line.words.iter().map(|word| word.to_str().unwrap().into()).collect();
    Ok((line.ninep.map(|ninep| (ninep.port, ninep.generation)), words))
}

fn words(command: &str) -> Vec<String> {
    let (ninep, words) = parse(command).unwrap();
    assert_eq!(ninep, None);
    words
}

/// What `cpu HOST echo "it's" 'a b' ''` sends.
#[test]
fn v3_names_its_port_and_quotes_every_word() {
    let (ninep, words) = parse(r#"-port9p=40123 'echo' 'it'"'"'s' 'a b' ''"#).unwrap();
    assert_eq!(ninep, Some((40123, Generation::V3)));
    assert_eq!(words, ["echo", "it's", "a b", ""]);
}

#[test]
fn v3_without_a_word_asks_for_the_shell() {
    assert_eq!(parse("-port9p=17 ").unwrap(), (Some((17, Generation::V3)), vec![]));
    assert_eq!(parse("-port9p=17").unwrap(), (Some((17, Generation::V3)), vec![]));
}

#[test]
fn a_word_of_the_users_is_never_taken_for_the_port() {
    assert_eq!(words(" '-port9p=5' 'x'"), ["-port9p=5", "x"]);
    assert_eq!(words(" 'b' '-remote' '-port9p' '5' '-bin' 'b'").len(), 6);
}

/// What `cpu -h HOST ls -l '|' wc '"a  b"'` sends.
#[test]
fn v2_hands_its_words_to_the_shell_as_one() {
    let (ninep, words) = parse(r#"cpu -remote -port9p 40123 -bin cpu ls -l | wc "a  b""#).unwrap();
    assert_eq!(ninep, Some((40123, Generation::V2)));
    assert_eq!(words, ["/bin/sh", "-c", "ls -l | wc a  b"]);
    let (_, words) = parse("/bbin/cpu -remote -port9p 7 -bin /bbin/cpu echo   $HOME").unwrap();
    assert_eq!(words, ["/bin/sh", "-c", "echo $HOME"]);
}

#[test]
fn v2_without_a_word_asks_for_the_shell() {
    assert_eq!(parse("cpu -remote -port9p 7 -bin cpu ").unwrap(), (Some((7, Generation::V2)), vec![]));
}

#[test]
fn without_9p_there_are_only_words() {
    assert_eq!(words(" 'uname' '-a'"), ["uname", "-a"]);
    assert_eq!(words("uname -a"), ["uname", "-a"]);
    assert_eq!(words(""), [""; 0]);
    assert_eq!(words(" \t\n"), [""; 0]);
    assert_eq!(words("firefox -remote -port9p 5"), ["firefox", "-remote", "-port9p", "5"]);
}

#[test]
fn quotes_join_and_protect_as_in_a_shell() {
    assert_eq!(words(r#"a'b c'"d e"f\ g"#), ["ab cd ef g"]);
    assert_eq!(words(r#"'\n' "\n" \n"#), [r"\n", r"\n", "n"]);
    assert_eq!(words(r#""\$ \` \" \\ \'""#), [r#"$ ` " \ \'"#]);
    assert_eq!(words("a\\\nb 'c\\\nd' \"e\\\nf\" \\\n g \\\n"), ["ab", "c\\\nd", "ef", "g"]);
}

#[test]
fn nothing_is_expanded() {
    assert_eq!(words("$HOME ~ * a|b # c;"), ["$HOME", "~", "*", "a|b", "#", "c;"]);
}

#[test]
fn an_open_quote_is_named() {
    for (command, quote) in [("echo 'a", '\''), ("echo \"a", '"'), ("echo \"a\\", '"'), ("echo a\\", '\\')] {
        let sentence = std::format!("the command line ends after an unclosed {quote}");
        assert_eq!(parse(command), Err(sentence));
    }
}

#[test]
fn a_port_that_is_none_is_named() {
    for port in ["0", "65536", "-1", "x", "", "12345678901234567890"] {
        let sentence = std::format!("the 9P port \"{port}\" is not a number from 1 to 65535");
        assert_eq!(parse(&std::format!("-port9p={port} 'ls'")), Err(sentence.clone()));
        assert_eq!(parse(&std::format!("cpu -remote -port9p {port} -bin cpu ls")), Err(sentence));
    }
}

#[test]
fn a_word_that_execve_would_not_take_is_numbered() {
    let mut room = [0; 8];
    let nul = ExecLine::parse(b"ls a\0b", &mut room).unwrap_err();
    assert_eq!(nul.to_string(), "word 2 of the command line has a NUL byte in it");
    let full = ExecLine::parse(b"ls 12345", &mut room).unwrap_err();
    assert_eq!(full, ExecLineError::Word { number: 2, refusal: Refusal::NoRoom { bytes: 8 } });
    assert!(ExecLine::parse(b"ls 1234", &mut room).is_ok());
}

#[test]
fn what_the_stock_clients_quote_is_not_typed() {
    for line in [
        "-port9p=17 'a | b'",
        " 'uname' '-a'",
        r#" 'it'"'"'s'"#,
        r"'it'\''s'",
        "cpu -remote -port9p 7 -bin cpu ls | wc",
        "",
        " ",
    ] {
        assert!(!is_typed(line.as_bytes()), "{line}");
    }
    for line in ["uname -a", "'a' | 'b'", "'a", r#""$HOME""#, "echo 'a'", "\t'a'"] {
        assert!(is_typed(line.as_bytes()), "{line}");
    }
}

#[test]
fn unquoted_operators_and_expansions_need_a_shell() {
    for line in [
        "echo a | cat",
        "a;b",
        "a && b",
        "a>b",
        "a<b",
        "(a)",
        "echo $HOME",
        r#"echo "$HOME""#,
        "echo `id`",
        "a 'b' & c",
    ] {
        assert!(needs_shell(line.as_bytes()), "{line}");
    }
    for line in ["version", "echo 'a | $b'", r#"echo "a | b; c""#, r"echo a\|b \$c", r#"echo "it's | x""#, "echo '"] {
        assert!(!needs_shell(line.as_bytes()), "{line}");
    }
}

#[test]
fn a_typed_line_is_one_word_for_the_shell() {
    let mut room = [0; 64];
    let line = ExecLine::by_shell(c"/bin/sh", b"echo a  | cat", &mut room).unwrap();
    assert!(line.words.iter().eq([c"/bin/sh", c"-c", c"echo a  | cat"]));
    assert!(ExecLine::by_shell(c"/bin/sh", b"a\0b", &mut room).unwrap_err().to_string().contains("word 3"));
}
