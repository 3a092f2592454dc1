"""What Whisper writes where nobody spoke, by language: data for ``phantoms``.

Patterns over letters and digits in lower case. Spaces in them don't count, and the whole sentence
must match.
"""

from __future__ import annotations

from collections.abc import Mapping

INVENTED: Mapping[str, tuple[str, ...]] = {
    "any": (
        r".{0,60}amara org.{0,40}",
        r".{0,40}(opensubtitles|subscene|soustitreur|dimatorzok|mooji) (org|com)?.{0,20}",
        r"blank audio|no speech detected|inaudible",
    ),
    "en": (
        r"thank(s| you)( so much| very much)? for (watching|viewing)"
        r"( (this|the|my|our) (video|episode))?( (and )?(i ll )?see you.{0,30})?",
        r"(i )?hope you (enjoyed|liked) (this|the|my|our) video.{0,40}",
        r"(i ll )?see you( all| guys)? in the next (video|one|episode)",
        r"(please )?(don t forget to )?(like and )?subscribe to (my|the|our) channel.{0,60}",
        r"(please )?(like comment and |like and )subscribe.{0,30}",
        r"(subtitles|captions|transcription) by (the )?.{0,40}(community|castingwords|esquire|btf)",
    ),
    "de": (
        r"untertitel(ung)?.{0,40}(zdf|funk|wdr|swr|ndr|ard|stephanie geiges).{0,20}",
        r"(swr|wdr|ndr|mdr|zdf|ard|orf) (für funk )?20\d\d",
        r"copyright (wdr|swr|zdf|ard|ndr) 20\d\d",
        r"(vielen dank|danke) (für s|fürs|für das) (zuschauen|zusehen|anschauen).{0,40}",
        r"bis zum nächsten video",
        r"(vergesst nicht )?(den|meinen|unseren) kanal zu abonnieren.{0,30}",
    ),
    "fr": (
        r"sous titrage (st 501|société radio canada|mfp)",
        r"merci d avoir regardé( cette| la| ma)? (vidéo)?.{0,20}",
        r"(n oubliez pas de vous abonner|abonnez vous) (à|a) (la|ma|notre) chaîne.{0,40}",
    ),
    "es": (
        r"(muchas )?gracias por ver (el|este|mi) v[ií]deo.{0,20}",
        r"(no olvides |no te olvides de )?suscr[ií](bete|birte) (al|a mi|a nuestro) canal.{0,30}",
        r"(nos vemos en|hasta) el pr[oó]ximo v[ií]deo",
    ),
    "pt": (
        r"(muito )?obrigad[oa] por (assistir|assistirem|ver o v[ií]deo).{0,20}",
        r"inscreva se no (meu |nosso )?canal.{0,40}",
        r"(até|vejo vocês n)o próximo vídeo",
    ),
    "it": (
        r"sottotitoli e revisione a cura di qtss",
        r"grazie (mille )?per (aver(e)? guardato|la visione).{0,20}",
        r"iscriv(iti|etevi) al( mio| nostro)? canale.{0,30}",
    ),
    "nl": (r"bedankt voor het kijken.{0,20}", r"tv gelderland 20\d\d"),
    "sv": (
        r"(svensk )?textning stina hedin.{0,30}",
        r"tack för att (du|ni) (har )?titta(de|t).{0,20}",
    ),
    "da": (r"(danske )?tekster af nicolai winther.{0,20}", r"tak fordi (du|i) (så|kiggede) med"),
    "no": (r"undertekster av ai media", r"takk for at (du|dere) (så|ser) på.{0,20}"),
    "pl": (
        r"(dziękuję|dzięki|dziękujemy) za (obejrzenie|oglądanie).{0,20}",
        r"(zapraszam|zachęcam) do (subskrypcji|subskrybowania).{0,30}",
    ),
    "cs": (r"titulky vytvořil johnyx", r"děkuj(i|eme) za sledování.{0,20}"),
    "hu": (r"köszön(öm|jük) (szépen )?a megtekintést.{0,20}",),
    "ro": (
        r"(vă )?mulțum(esc|im) pentru (vizionare|urmărire).{0,20}",
        r"nu uitați să vă abonați.{0,40}",
    ),
    "ru": (
        r"субтитры (сделал|подогнал|создавал|добавил) .{2,40}",
        r"редактор субтитров .{2,60}",
        r"продолжение следует",
        r"(спасибо|благодарю) за просмотр.{0,20}",
        r"(подписывайтесь|подпишись|подпишитесь) на (мой |наш )?канал.{0,40}",
    ),
    "uk": (
        r"дякую за перегляд.{0,20}",
        r"(підписуйтесь|підпишіться) на (мій |наш )?канал.{0,40}",
    ),
    "tr": (
        r"izlediğiniz için teşekkür(ler| ederim| ederiz).{0,20}",
        r"(kanalıma |kanalımıza )?abone ol(mayı|un|un lütfen) (unutmayın)?.{0,20}",
        r"altyazı m k",
    ),
    "ar": (
        r"ترجمة نانسي قنقر",
        r"شكرا (لكم )?(على )?(ال)?مشاهدة.{0,20}",
        r"اشتركوا في القناة.{0,30}",
    ),
    "fa": (r"(ممنون|با تشکر|متشکرم) از تماشای .{2,20}",),
    "he": (r"תודה (רבה )?(על )?(ה)?צפייה.{0,10}",),
    "el": (r"υπότιτλοι authorwave", r"ευχαριστώ (πολύ )?που παρακολουθήσατε.{0,20}"),
    "hi": (r"(वीडियो )?देखने के ल(िए|िये) (आपका )?धन्यवाद.{0,20}", r"चैनल को सब्सक्राइब .{2,20}"),
    "id": (r"ter?ima kasih (telah|sudah|karena telah) menonton.{0,30}",),
    "vi": (
        r"cảm ơn (các bạn |bạn )?đã (theo dõi|xem) (video)?.{0,40}",
        r"(hãy |nhớ )?(đăng ký|subscribe) cho kênh.{0,60}",
    ),
    "th": (r"ขอบคุณ(ที่|สำหรับการ)(รับชม|ติดตาม).{0,20}", r"โปรดติดตามตอนต่อไป"),
    "ja": (
        r"(最後まで)?(ご視聴|ご覧)(いただき|頂き|くださり|下さり)?(まして)?(誠に)?"
        r"ありがとうござい(ました|ます)",
        r"次の動画で(また)?お(会|あ)いしましょう",
        r"チャンネル登録(と高評価)?(を)?(よろしく)?お願い(いた|致)?します",
    ),
    "ko": (
        r"(끝까지 )?(시청|영상을 시청)해 주셔서 감사합니다",
        r"구독과 좋아요.{0,20}",
        r"다음 영상에서 (만나요|뵙겠습니다|봐요)",
        r"mbc 뉴스 .{1,20}",
    ),
    "zh": (
        r"(谢谢|感谢|謝謝|感謝)(大家|您|你|各位)?(的)?(观看|收看|觀看)",
        r"(请|請)?不吝点?點?[赞讚贊] (订阅|訂閱).{0,30}",
        r"字幕由amara.{0,20}|字幕by索[兰蘭][娅婭]|(中文)?字幕志[愿願]者.{1,20}",
        r"(优优独播剧场|優優獨播劇場).{0,40}",
    ),
}
"""Nobody says these to an agent: dropped as a whole utterance whatever the sound was."""

PLAUSIBLE: Mapping[str, tuple[str, ...]] = {
    "any": (r"(sub(title)?s|captions|translation|transcription) (created |made )?by .{2,60}",),
    "en": (
        r"thank you( very much| so much)?|thanks|you|(bye )*bye|goodbye|okay|ok|oh|so|yeah",
        r"m+|m+hm+|u+h+|h+m+|i m sorry|the end|we ll be right back|see you next time",
        r"thank you for listening|for more (information|videos) .{2,60}|subscribe|music|silence",
    ),
    "de": (
        r"vielen dank|danke|danke schön|tschüss|ja|bis zum nächsten mal|auf wiedersehen",
        r"(vielen dank|danke) (für s|fürs) zuhören|untertitel(ung)? .{2,60}",
    ),
    "fr": (r"merci|merci beaucoup|au revoir|oui|à bientôt|merci de votre écoute|sous titr.{2,60}",),
    "es": (
        r"(muchas )?gracias|adiós|sí|hasta luego|gracias por ver",
        r"subt[ií]tulos (realizados |hechos )?por .{2,60}|m[aá]s informaci[oó]n .{3,40}",
    ),
    "pt": (r"(muito )?obrigad[oa]|tchau|tchau tchau|e aí|legendas? (pela|por) .{2,60}",),
    "it": (
        r"grazie|grazie (mille|a tutti|per l attenzione)|ciao|ciao a tutti|sottotitoli .{2,60}",
    ),
    "nl": (r"dank u|dank je wel|bedankt|doei|ja|tot de volgende keer|ondertitel.{2,60}",),
    "sv": (r"tack|tack så mycket|hej då|undertexter .{2,50}",),
    "da": (r"tak|mange tak|farvel|undertekster .{2,50}",),
    "no": (r"takk|tusen takk|ha det|undertekster .{2,50}",),
    "pl": (r"dziękuję( bardzo| za uwagę)?|dzięki|do widzenia|napisy .{2,60}",),
    "cs": (r"děkuji( za pozornost)?|díky|na shledanou|titulky .{2,60}",),
    "hu": (r"köszönöm( szépen| a figyelmet)?|viszlát|felirat.{2,60}",),
    "ro": (r"mulțumesc( mult)?|la revedere|subtitra.{2,60}",),
    "ru": (r"спасибо( за внимание)?|пока|до свидания|угу|корректор .{2,40}|субтитры .{2,40}",),
    "uk": (r"дякую( за увагу)?|бувай|до побачення|далі буде|субтитр.{2,40}",),
    "tr": (r"teşekkür ederim|teşekkürler|hoşça kalın|evet|dinlediğiniz için teşekkürler",),
    "ar": (r"شكرا( لك| لكم)?|السلام عليكم|ترجمة .{2,40}",),
    "hi": (r"धन्यवाद|शुक्रिया",),
    "id": (r"terima kasih|terima kasih telah mendengarkan",),
    "vi": (r"cảm ơn( các bạn)?|tạm biệt",),
    "th": (r"ขอบคุณ(ครับ|ค่ะ)?|สวัสดี(ครับ|ค่ะ)?",),
    "ja": (
        r"ありがとう(ござい(ました|ます))?|おやすみなさい|はい|うん|さようなら|では|字幕.{1,30}",
        r"また(次回)?お(会|あ)いしましょう",
    ),
    "ko": (r"감사합니다|고맙습니다|안녕히 계세요|네|한글자막 .{1,30}",),
    "zh": (r"(谢谢|謝謝)(大家)?|再见|再見|好|嗯|字幕.{1,40}",),
}
"""Callers may say these: dropped only where the sound holds no speech."""
