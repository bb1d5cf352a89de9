//! The commands of a script that begin with a backslash.

/// A command that is understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meta {
    /// `\set name expression`
    Set { name: String, expression: String },
    /// `\gset [prefix]`
    Gset { prefix: String },
}

/// Up to the end of the line; a backslash there carries it on to the next.
pub(super) fn length(text: &str) -> usize {
    let mut from = 0;
    while let Some(end) = text[from..].find('\n').map(|end| from + end) {
        if !text[..end].trim_end_matches('\r').ends_with('\\') {
            return end;
        }
        from = end + 1;
    }
    text.len()
}

impl Meta {
    /// `text` begins with the backslash.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let command = joined.strip_prefix('\\').unwrap_or(&joined).trim();
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "set" => {
                let (variable, expression) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                if !is_name(variable) {
                    return Err("\\set needs the name of a variable: letters, digits and _".to_owned());
                }
                if expression.trim().is_empty() {
                    return Err(format!("\\set {variable} needs an expression"));
                }
                Ok(Self::Set { name: variable.to_owned(), expression: expression.to_owned() })
            }
            "gset" if rest.is_empty() || is_name(rest) => Ok(Self::Gset { prefix: rest.to_owned() }),
            "gset" => Err("\\gset takes nothing but a prefix of variables' names".to_owned()),
            _ => Err(refusal(name)),
        }
    }
}

fn is_name(text: &str) -> bool {
    let begins = |c: char| c.is_alphabetic() || c == '_';
    text.len() <= 63 && text.starts_with(begins) && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn refusal(name: &str) -> String {
    let why = match name {
        "shell" | "setshell" | "!" => "a script of load runs no programs",
        "sleep" => "it would hold a connection without using it; when what arrives is said by the rate",
        "if" | "elif" | "else" | "endif" => "write a script for each case, and give them weights",
        "startpipeline" | "endpipeline" | "syncpipeline" => {
            "statements wait for each other's answers here, as in an application"
        }
        "aset" => "only \\gset reads a query's answer",
        ";" => "send statements one by one",
        "i" | "ir" | "include" | "include_relative" => "a script is one text, and reads no files",
        "copy" => "COPY is not for load",
        _ => "only \\set and \\gset are understood",
    };
    let name: String = name.chars().take(20).collect();
    format!("\\{name} is not supported: {why}")
}
