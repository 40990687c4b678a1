"""Fixed sentences of every language: what a tokenizer makes of them tells it from another one, or from itself in
another version of a library.

Of each language that the project knows, the first sentence of the Universal Declaration of Human Rights (public
domain; https://www.ohchr.org/en/human-rights/universal-declaration/translations), as it stands and in capitals among
figures. The marks, numbers and breaks of `COMMON` stand in prompts and answers of every language.
"""

from __future__ import annotations

SENTENCES = {
    "bn": "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।",
    "th": "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในศักดิ์ศรีและสิทธิ",
    "sw": "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由,在尊严和权利上一律平等。",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "en": "All human beings are born free and equal in dignity and rights.",
    "te": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos.",
    "ar": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "ur": "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "bg": "Всички хора се раждат свободни и равни по достойнство и права.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
    "am": "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።",
    "ee": "Wodzi amegbetɔwo katã ablɔɖeviwoe eye wodzena bubu kple gomekpɔkpɔ sɔsɔe.",
    "ha": "Su dai ƴan-adam, ana haifuwarsu ne duka ƴantattu, kuma kowannensu na da mutunci da hakkoki.",
    "ig": "A mụrụ mmadụ nile n'ohere nakwa nha anya ugwu na ikike.",
    "rw": "Abantu bose bavukana umudendezo kandi bangana mu gaciro no mu burenganzira.",
    "ln": "Bato nyonso na mbotama bazali nzomi pe bakokani na limemya pe makoki.",
    "lg": "Abantu bonna bazaalibwa nga balina eddembe n'obuyinja ebyenkanankana.",
    "om": "Namooti hundinuu birmaduu ta'anii mirgaa fi ulfinaanis wal-qixxee ta'anii dhalatan.",
    "sn": "Vanhu vese vanoberekwa vakasununguka uyewo vakaenzana pahunhu nekodzero dzavo.",
    "st": "Batho bohle ba tswetswe ba lokolohile mme ba lekana ka botho le ditokelo.",
    "tw": "Wɔawo adesamma nyinaa sɛ nnipa a wɔwɔ ahofadi. Wɔn nyinaa wɔ nidi ne kyɛfa koro.",
    "vai": "ꕉꕜꕮ ꔔꘋ ꖸ ꔰ ꗋꘋ ꕮꕨ ꔔꘋ ꖸ ꕎ ꕉꖸꕊ ꕴꖃ ꕃꔤꘂ ꗱ.",
    "wo": "Doomi aadama yépp danuy juddu, yam ci tawfeex ci sag ak sañ-sañ.",
    "xh": "Bonke abantu bazalwa bekhululekile belingana ngesidima nangokweemfanelo.",
    "yo": "Gbogbo ènìyàn ni a bí ní òmìnira; iyì àti ẹ̀tọ́ kọ̀ọ̀kan sì dọ́gba.",
    "zu": "Bonke abantu bazalwa bekhululekile belingana ngesithunzi nangamalungelo.",
}
COMMON = (
    "Tom has 5 pens, 1,250.75 dollars and 3/4 of a pie: (12 + 7) × 6 = 114%, or $9.99?",
    "### Instruction:\nLet's think step by step.\n\n  1. \\boxed{42}\t#### -17\n\n### Response:",
)
"""Read as English."""


CUT = 12
"""Tokens after which the sentences in capitals are cut: the side on which a tokenizer cuts is part of what it does."""


def fixed_sentences() -> list[tuple[str, str, int | None]]:
    """Language, text and limit of every fixed sentence; None is no limit."""
    plain = [(code, text, None) for code, text in [*SENTENCES.items(), *(("en", text) for text in COMMON)]]
    return [*plain, *((code, f" 20,5  {text.upper()}\n 3 ", CUT) for code, text in SENTENCES.items())]
