//! Pictures: the QR code of one sheet, from a photograph or a scan of it.
//!
//! PNG and JPEG are read, nothing else. A picture is a stranger's file until its code has turned out to be a share: its size is
//! limited before it is unpacked, and a decoder that gives up is an error like any other. The picture holds the share; its buffers
//! are wiped, those inside of other people's decoders by the program's allocator alone.

mod decode;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use zeroize::Zeroizing;

use crate::{Error, Mnemonic};
use decode::Grey;

/// The largest file that is read, in bytes.
pub const MOST_BYTES: usize = 32 << 20;
/// The largest picture that is read, in pixels: the largest that a phone takes by default, and a page at 600 dpi.
pub const MOST_PIXELS: usize = 64_000_000;
/// The longest side in pixels. Neither a phone nor a scanner makes longer ones.
pub const LONGEST_SIDE: usize = 16_000;

/// Why no share was read from a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureError {
    /// A PDF: pages are drawn before they are pictures.
    Pdf,
    /// Neither PNG nor JPEG.
    Kind,
    /// The file or the picture in it is larger than [`MOST_BYTES`], [`MOST_PIXELS`] or [`LONGEST_SIDE`].
    TooLarge,
    /// The file is cut off or damaged.
    Broken,
    /// There is no QR code to be seen.
    NoCode,
    /// There is a QR code, but what it says cannot be made out.
    Unreadable,
    /// There is more than one QR code.
    Several {
        /// How many could be read.
        codes: usize,
    },
    /// The QR code holds something else than the words of a share.
    NotAShare,
    /// The QR code holds words, but no sound share: the sheet was made wrong, or by somebody else.
    Share(Error),
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pdf => f.write_str("it is a pdf, not a picture"),
            Self::Kind => f.write_str("it is neither a png nor a jpeg"),
            Self::TooLarge => f.write_str("the picture is too large"),
            Self::Broken => f.write_str("the picture is cut off or damaged"),
            Self::NoCode => f.write_str("there is no qr code in the picture"),
            Self::Unreadable => f.write_str("the qr code in the picture cannot be read"),
            Self::Several { codes } => write!(f, "there are {codes} qr codes in the picture"),
            Self::NotAShare => f.write_str("the qr code is not that of a recovery share"),
            Self::Share(why) => write!(f, "the qr code holds no sound share: {why}"),
        }
    }
}

impl std::error::Error for PictureError {}

impl PictureError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Pdf => {
                "draw the page first, in a folder in memory: pdftoppm -r 150 -png SHEET.pdf sheet"
            }
            Self::Kind => "save or convert it as png or jpeg, or type the words",
            Self::TooLarge => {
                "32 MiB and 64 megapixels are the most; 150 dpi are enough for a scan"
            }
            Self::Broken => "copy it again, take another picture, or type the words",
            Self::NoCode => "take the picture from straight above with the whole code in it",
            Self::Unreadable => {
                "take the picture in even light, sharp, from straight above; or type the words"
            }
            Self::Several { .. } => "show one sheet alone",
            Self::NotAShare => "the code is beside the words on a recovery sheet",
            Self::Share(_) => "type the words that are printed on the sheet instead",
        }
    }
}

/// Reads the share on the one sheet that a picture shows: the bytes of a PNG or JPEG file.
///
/// # Errors
/// [`PictureError`]; a picture of several codes is refused, whatever they hold.
pub fn read(file: &[u8]) -> Result<Mnemonic, PictureError> {
    let text = guarded(|| find(&decode::grey(file)?))?;
    share(&text)
}

/// The share that a QR code's text is. Sheets have upper case and single spaces there; whatever else [`Mnemonic::parse`] takes is
/// taken as well, so that codes made by other tools are.
///
/// # Errors
/// [`PictureError::NotAShare`] or [`PictureError::Share`].
pub fn share(text: &str) -> Result<Mnemonic, PictureError> {
    Mnemonic::parse(text).map_err(|why| match why {
        // Something else altogether, an address say; a share has four words that are its header.
        Error::UnknownWord { .. } | Error::Length { .. } => PictureError::NotAShare,
        why => PictureError::Share(why),
    })
}

/// The text of the one code in a picture. What is too fine or too coarse for the reader in one size is seen in another.
fn find(picture: &Grey) -> Result<Zeroizing<String>, PictureError> {
    let mut worst = PictureError::NoCode;
    for size in picture.sizes() {
        match codes(&size) {
            Ok(mut codes) if codes.len() == 1 => return codes.pop().ok_or(worst),
            Ok(codes) if codes.is_empty() => {}
            Ok(codes) => return Err(PictureError::Several { codes: codes.len() }),
            Err(seen) => worst = seen,
        }
    }
    Err(worst)
}

/// The texts of all codes that can be read, each once; an error if codes were seen, but none could be read.
fn codes(picture: &Grey) -> Result<Vec<Zeroizing<String>>, PictureError> {
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(picture.width, picture.height, |x, y| {
            picture.at(x, y)
        });
    let grids = prepared.detect_grids();
    let mut texts: Vec<Zeroizing<String>> = Vec::with_capacity(grids.len());
    for grid in &grids {
        if let Ok((_, text)) = grid.decode() {
            let text = Zeroizing::new(text);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    if texts.is_empty() && !grids.is_empty() {
        return Err(PictureError::Unreadable);
    }
    Ok(texts)
}

/// Readers of pictures are other people's code with assertions in it that some pictures meet: such a picture cannot be read, and that is all.
fn guarded<T>(read: impl FnOnce() -> Result<T, PictureError>) -> Result<T, PictureError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(PictureError::Unreadable))
}
