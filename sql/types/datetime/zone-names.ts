/**
 * The names of the tz database (release 2025b, public domain) and the abbreviations its zones have used: what Intl knows
 * the offsets of but not PostgreSQL's short names for. A line is `names: offset abbreviations; offset …`; an offset is in
 * seconds east of UTC, an abbreviation without letters is the offset itself ('+03'), `*` marks daylight time, and `@n`
 * says from which Unix second on (UTC) that offset has had this abbreviation. Lines that start with two spaces go on.
 * Local mean time, LMT, is only named where a later time shares its offset. Offsets that only have their numeric
 * abbreviation are left out.
 */
const ZONES = `
Africa/Abidjan Africa/Bamako Africa/Bissau Africa/Conakry Africa/Dakar Africa/Lome Africa/Nouakchott
  Africa/Ouagadougou Africa/Timbuktu Etc/GMT Etc/GMT+0 Etc/GMT-0 Etc/GMT0 Etc/Greenwich GMT GMT+0 GMT-0 GMT0
  Greenwich Iceland: 0 GMT
Africa/Accra: 0 GMT; 1200 *; 1800 ,*@-610149600
Africa/Addis_Ababa: 9320 ADMT; 10800 EAT
Africa/Algiers: 0 WET; 561 PMT; 3600
  WEST*,CET@-942012000,WEST*@41468400,CET@246236400,WEST*@325468800,CET@357523200; 7200 CEST*
Africa/Asmara: 9320 ADMT; 9332 LMT,AMT@-3155682932; 10800 EAT
Africa/Asmera Africa/Dar_es_Salaam Africa/Djibouti Africa/Kampala Africa/Mogadishu Africa/Nairobi Indian/Comoro
  Indian/Mayotte: 10800 EAT
Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Kinshasa Africa/Libreville Africa/Luanda: 3600 WAT
Africa/Banjul: -3996 LMT,BMT@-1830380004; 0 GMT
Africa/Blantyre: 7200 CAT; 8460 ZMT; 8470 ZMT
Africa/Bujumbura Africa/Harare Africa/Kigali Africa/Lusaka Africa/Maputo: 7200 CAT
Africa/Cairo Asia/Beirut Asia/Nicosia EET Egypt Europe/Nicosia: 7200 EET; 10800 EEST*
Africa/Casablanca: 0 ,*@1557021600; 3600 *,@448243200,*@1212278400,@1540692000
Africa/Ceuta: 0 WET; 3600 WEST*,CET@448243200; 7200 CEST*
Africa/El_Aaiun: 0 ,*@1557021600; 3600 *,@1540692000
Africa/Freetown: -3180 LMT,FMT@-2776979220; -2400 *; 0 GMT
Africa/Gaborone: 5400 SAST; 7200 CAT; 10800 CAST*
Africa/Johannesburg: 5400 SAST; 7200 SAST; 10800 SAST*
Africa/Juba Africa/Khartoum: 7200 CAT; 10800 CAST*,EAT@947930400
Africa/Lagos Africa/Malabo Africa/Niamey Africa/Porto-Novo Africa/Sao_Tome: 0 GMT; 3600 WAT
Africa/Lubumbashi: 3600 WAT; 7200 CAT
Africa/Maseru: 7200 SAST; 10800 SAST*
Africa/Mbabane: 7200 SAST
Africa/Monrovia: -2670 MMT; -2588 LMT,MMT@-2776979812; 0 GMT
Africa/Ndjamena: 3600 WAT; 7200 WAST*
Africa/Tripoli Libya: 3600 CET; 7200
  CEST*,EET@-347158800,CEST*@386463600,EET@641775600,CEST*@860108400,EET@875916000,CEST*@1364515200,EET@1382659200
Africa/Tunis: 561 PMT; 3600 CET; 7200 CEST*
Africa/Windhoek: 3600 WAT*; 7200 SAST,CAT@637970400; 10800 SAST*
America/Adak America/Atka US/Aleutian: -39600 NST,BST@-86878800; -36000
  NWT*,NPT*@-769395600,BDT*@-21466800,AHST@436363200,HST@439034400; -32400 HDT*
America/Anchorage US/Alaska: -36000 AST,AHST@-86882400; -32400
  AWT*,APT*@-769395600,AHDT*@-21470400,YST@436359600,AKST@439030800; -28800 AKDT*
America/Anguilla America/Aruba America/Curacao America/Dominica America/Grenada America/Guadeloupe
  America/Montserrat America/Port_of_Spain America/St_Kitts America/St_Thomas America/Tortola: -14400 AST
America/Antigua: -18000 EST; -14400 AST
America/Araguaina America/Bahia America/Belem America/Fortaleza America/Maceio America/Recife America/Sao_Paulo
  Brazil/East: -7200 *
America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/ComodRivadavia
  America/Argentina/La_Rioja America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan
  America/Argentina/Tucuman America/Argentina/Ushuaia America/Buenos_Aires America/Catamarca: -15408 CMT; -10800
  *,@-7588800,*@938919600,@952052400; -7200 *
America/Argentina/Cordoba America/Cordoba America/Rosario: -15408 LMT,CMT@-2372096592; -10800
  *,@-7588800,*@938919600,@952052400; -7200 *
America/Argentina/Jujuy America/Jujuy: -15408 CMT; -10800 *,@-7588800,*@657086400,@699415200,*@938919600,@952052400;
  -7200 *
America/Argentina/Mendoza America/Mendoza: -15408 CMT; -10800
  *,@-7588800,*@655963200,@731469600,*@938919600,@952052400; -7200 *
America/Argentina/San_Luis: -15408 CMT; -10800
  *,@-7588800,*@655963200,@675748800,*@938919600,@952052400,*@1200880800,@1255233600; -7200 *
America/Asuncion: -13840 LMT,AMT@-2524507760; -10800 ,*@181368000,@1728961200
America/Atikokan: -21600 CST; -18000 CDT*,CWT*@-880214400,CPT*@-769395600,EST@-765392400
America/Bahia_Banderas: -25200 MST; -21600 CST,MDT*@-1220461200,CST@-1191344400,MDT*@828867600,CST@1288508400;
  -18000 CDT*
America/Barbados: -14400 AST; -12600 *; -10800 ADT*
America/Belize: -21600 CST; -19800 *; -18000 CWT*,CPT*@-769395600,CDT*@123919200
America/Blanc-Sablon: -14400 AST; -10800 ADT*,AWT*@-880221600,APT*@-769395600
America/Boa_Vista America/Campo_Grande America/Cuiaba America/Manaus America/Porto_Velho Brazil/West: -10800 *
America/Bogota: -17776 LMT,BMT@-2707671824; -14400 *
America/Boise: -28800 PST; -25200 PDT*,MST@-1471788000; -21600 MWT*,MPT*@-769395600,MDT*@-84380400
America/Cambridge_Bay: -25200 MST; -21600 MWT*,MPT*@-769395600,MDT*@73472400,CST@941356800,MDT*@986115600; -18000
  CDT*,EST@972802800; 0 -00
America/Cancun: -21600 CST; -18000 EST,CDT*@828864000,EST@877849200,CDT*@902037600,EST@1422777600; -14400 EDT*
America/Caracas: -16060 CMT
America/Cayenne America/Guyana Asia/Aden Asia/Bahrain Asia/Brunei Asia/Dili Asia/Dubai Asia/Kabul Asia/Kashgar
  Asia/Kathmandu Asia/Katmandu Asia/Kuwait Asia/Muscat Asia/Qatar Asia/Riyadh Asia/Thimbu Asia/Thimphu Asia/Urumqi
  Atlantic/South_Georgia Etc/GMT+1 Etc/GMT+10 Etc/GMT+11 Etc/GMT+12 Etc/GMT+2 Etc/GMT+3 Etc/GMT+4 Etc/GMT+5
  Etc/GMT+6 Etc/GMT+7 Etc/GMT+8 Etc/GMT+9 Etc/GMT-1 Etc/GMT-10 Etc/GMT-11 Etc/GMT-12 Etc/GMT-13 Etc/GMT-14 Etc/GMT-2
  Etc/GMT-3 Etc/GMT-4 Etc/GMT-5 Etc/GMT-6 Etc/GMT-7 Etc/GMT-8 Etc/GMT-9 Indian/Chagos Indian/Christmas Indian/Cocos
  Indian/Mahe Indian/Reunion Kwajalein Pacific/Chuuk Pacific/Fakaofo Pacific/Funafuti Pacific/Gambier
  Pacific/Guadalcanal Pacific/Kiritimati Pacific/Kosrae Pacific/Kwajalein Pacific/Majuro Pacific/Marquesas
  Pacific/Nauru Pacific/Niue Pacific/Palau Pacific/Pitcairn Pacific/Pohnpei Pacific/Ponape Pacific/Tahiti
  Pacific/Tarawa Pacific/Wake Pacific/Wallis: 
America/Cayman: -18430 KMT; -18000 EST
America/Chicago US/Central: -21600 CST; -18000
  CDT*,EST@-1067788800,CDT*@-1031500800,CWT*@-880214400,CPT*@-769395600,CDT*@-747244800
America/Chihuahua America/Ojinaga: -25200 MST; -21600
  CST,MDT*@-1220461200,CST@-1191344400,MDT*@891766800,CST@1667116800; -18000 CDT*
America/Ciudad_Juarez: -25200 MST; -21600
  CST,MDT*@-1220461200,CST@-1191344400,MDT*@891766800,CST@1667116800,MDT*@1678611600; -18000 CDT*
America/Coral_Harbour America/Panama: -19176 CMT; -18000 EST
America/Costa_Rica: -21600 CST; -20173 LMT,SJMT@-2524501427; -18000 CDT*
America/Coyhaique: -16965 SMT; -14400 ,*@-1335986235,@-1178132400,*@-736632000,@-713649600; -10800 *,@1742439600
America/Creston: -28800 PST; -25200 MST
America/Danmarkshavn: -7200 *; 0 GMT
America/Dawson: -32400 YST; -28800 YDT*,YWT*@-880203600,YPT*@-769395600,PST@120646800; -25200
  YDDT*,PDT*@325677600,MST@1604214000
America/Dawson_Creek: -28800 PST; -25200 PDT*,PWT*@-880207200,PPT*@-769395600,PDT*@-715788000,MST@84013200
America/Denver America/Shiprock Navajo US/Mountain: -25200 MST; -21600
  MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-147884400
America/Detroit US/Michigan: -21600 CST; -18000 EST; -14400 EWT*,EPT*@-769395600,EDT*@-684349200
America/Edmonton America/Yellowknife Canada/Mountain: -25200 MST; -21600
  MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-715791600
America/Eirunepe America/Porto_Acre America/Rio_Branco Brazil/Acre: -14400 *,@1214283600
America/El_Salvador America/Guatemala America/Matamoros America/Tegucigalpa: -21600 CST; -18000 CDT*
America/Ensenada America/Santa_Isabel America/Tijuana Mexico/BajaNorte: -28800 PST; -25200
  MST,PDT*@-1222963200,PWT*@-873820800,PPT*@-769395600,PDT*@-686073600
America/Fort_Nelson: -28800 PST; -25200 PDT*,PWT*@-880207200,PPT*@-769395600,PDT*@-715788000,MST@1425808800
America/Fort_Wayne America/Indiana/Indianapolis America/Indianapolis US/East-Indiana: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-747244800,EST@-463593600; -14400 EDT*
America/Glace_Bay: -14400 AST; -10800 ADT*,AWT*@-880221600,APT*@-769395600,ADT*@-526500000
America/Godthab America/Nuuk: -7200 *,@1679792400; -3600 *
America/Goose_Bay: -14400 AST; -12652 NST; -12600 NST; -10800 ADT*; -9052 NDT*; -9000
  NDT*,NWT*@-872368200,NPT*@-769395600,NDT*@-746044200; -7200 ADDT*
America/Grand_Turk: -18430 KMT; -18000 EST; -14400 EDT*,AST@1425798000,EDT*@1520751600
America/Guayaquil: -18840 QMT; -14400 *
America/Halifax Canada/Atlantic: -14400 AST; -10800 ADT*,AWT*@-880221600,APT*@-769395600,ADT*@-747252000
America/Havana Cuba: -19776 HMT; -18000 CST; -14400 CDT*
America/Hermosillo America/Mazatlan Mexico/BajaSur: -25200 MST; -21600
  CST,MDT*@-1220461200,CST@-1191344400,MDT*@828867600
America/Indiana/Knox America/Knox_IN US/Indiana-Starke: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-715795200,EST@-242236800,CDT*@-84384000,EST@688546800,CDT*@1143961200
America/Indiana/Marengo: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-589392000,EST@-273686400,CDT*@126687600,EST@152089200; -14400 EDT*
America/Indiana/Petersburg: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-462996000,EST@-147888000,CDT*@-84384000,EST@247042800,CDT*@1143961200,EST@1194159600;
  -14400 EDT*
America/Indiana/Tell_City: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-462996000,EST@-179337600,CDT*@-52934400,EST@-5767200,CDT*@1143961200;
  -14400 EDT*
America/Indiana/Vevay: -21600 CST; -18000 CDT*,CWT*@-880214400,CPT*@-769395600,EST@-495043200; -14400 EDT*
America/Indiana/Vincennes: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-747244800,EST@-179337600,CDT*@1143961200,EST@1194159600; -14400 EDT*
America/Indiana/Winamac: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-747244800,EST@-273686400,CDT*@1143961200,EST@1194156000; -14400 EDT*
America/Inuvik: -28800 PST; -25200 PDT*,MST@309945600; -21600 MDT*; 0 -00
America/Iqaluit America/Pangnirtung: -21600 CST; -18000 EST,CDT*@954662400,EST@972802800; -14400
  EWT*,EPT*@-769395600,EDT*@73465200; 0 -00
America/Jamaica Jamaica: -18430 LMT,KMT@-2524503170; -18000 EST; -14400 EDT*
America/Juneau: -32400 YST,AKST@439030800; -28800 PST,YDT*@325677600,PST@341402400,AKDT*@452084400; -25200
  PWT*,PPT*@-769395600,PDT*@-21477600
America/Kentucky/Louisville America/Louisville: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-747251940,EST@-266432400,CDT*@126687600,EST@152089200; -14400 EDT*
America/Kentucky/Monticello: -21600 CST; -18000 CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-52934400,EST@972802800;
  -14400 EDT*
America/Kralendijk America/Lower_Princes America/Marigot America/Puerto_Rico America/St_Barthelemy America/Virgin:
  -14400 AST; -10800 AWT*,APT*@-769395600
America/La_Paz: -16356 LMT,CMT@-2524505244; -12756 BST*
America/Lima: -14400 *
America/Los_Angeles US/Pacific: -28800 PST; -25200 PDT*,PWT*@-880207200,PPT*@-769395600,PDT*@-687967140
America/Managua: -21600 CST; -20712 MMT; -18000 EST,CDT*@290584800,EST@694260000,CDT*@1113112800
America/Martinique: -14660 LMT,FFMT@-2524506940; -14400 AST; -10800 ADT*
America/Menominee: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-747244800,EST@-21484800,CDT*@104914800
America/Merida: -21600 CST; -18000 EST,CDT*@828864000
America/Metlakatla: -32400 AKST; -28800 PST,AKDT*@1457866800,PST@1541325600,AKDT*@1552215600; -25200
  PWT*,PPT*@-769395600,PDT*@-21477600
America/Mexico_City Mexico/General: -25200 MST; -21600 CST,MDT*@-1220461200,CST@-1191344400; -18000
  CDT*,CWT*@-821901600,CDT*@-627501600
America/Miquelon: -14400 AST; -7200 *
America/Moncton: -18000 EST; -14400 AST; -10800 ADT*,AWT*@-880221600,APT*@-769395600,ADT*@-747252000
America/Monterrey: -25200 MST; -21600 CST,MDT*@-1220461200,CST@-1191344400; -18000 CDT*
America/Montevideo: -13491 LMT,MMT@-1942690509; -10800 *,@-845847000; -9000 *; -7200 *; -5400 *
America/Montreal America/New_York America/Nipigon America/Thunder_Bay America/Toronto Canada/Eastern US/Eastern:
  -18000 EST; -14400 EDT*,EWT*@-880218000,EPT*@-769395600,EDT*@-747248400
America/Nassau: -18000 EST; -14400 EWT*,EPT*@-769395600,EDT*@-179341200
America/Nome: -39600 NST,BST@-86878800; -36000 NWT*,NPT*@-769395600,BDT*@-21466800; -32400 YST,AKST@439030800;
  -28800 AKDT*
America/Noronha Brazil/DeNoronha: -3600 *
America/North_Dakota/Beulah: -25200 MST; -21600 MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-84380400,CST@1289116800;
  -18000 CDT*
America/North_Dakota/Center: -25200 MST; -21600 MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-84380400,CST@720000000;
  -18000 CDT*
America/North_Dakota/New_Salem: -25200 MST; -21600
  MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-84380400,CST@1067155200; -18000 CDT*
America/Paramaribo: -13252 PMT; -13236 PMT
America/Phoenix US/Arizona: -25200 MST; -21600 MDT*,MWT*@-880210800,MDT*@-84380400
America/Port-au-Prince: -18000 EST; -17340 PPMT; -14400 EDT*
America/Punta_Arenas: -16965 SMT; -14400 ,*@-1335986235,@-1178132400,*@-736632000,@-713649600; -10800 *,@1480820400
America/Rainy_River America/Winnipeg Canada/Central: -21600 CST; -18000
  CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-746035200
America/Rankin_Inlet: -21600 CST; -18000 CDT*,EST@972802800,CDT*@986112000; 0 -00
America/Regina Canada/Saskatchewan: -25200 MST; -21600
  MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-748450800,CST@-305737200
America/Resolute: -21600 CST; -18000 CDT*,EST@972802800,CDT*@986112000,EST@1162105200,CDT*@1173600000; 0 -00
America/Santarem: -10800 *,@1214280000
America/Santiago Chile/Continental: -16965 LMT,SMT@-2524504635; -14400
  ,*@-1335986235,@-1178132400,*@-736635600,@-713649600; -10800 *
America/Santo_Domingo: -18000 EST; -16800 SDMT; -16200 *; -14400 EDT*,AST@152082000
America/Scoresbysund: -3600 *,@370400400,*@1711846800; 0 *
America/Sitka: -32400 YST,AKST@439030800; -28800 PST,AKDT*@452084400; -25200 PWT*,PPT*@-769395600,PDT*@-21477600
America/St_Johns Canada/Newfoundland: -12652 LMT,NST@-2713897748; -12600 NST; -9052 NDT*; -9000
  NDT*,NWT*@-872368200,NPT*@-769395600,NDT*@-746044200; -5400 NDDT*
America/St_Lucia: -14640 LMT,CMT@-2524506960; -14400 AST
America/St_Vincent: -14696 LMT,KMT@-2524506904; -14400 AST
America/Swift_Current: -25200 MST; -21600 MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-747241200,CST@73472400
America/Thule: -14400 AST; -10800 ADT*
America/Vancouver Canada/Pacific: -28800 PST; -25200 PDT*,PWT*@-880207200,PPT*@-769395600,PDT*@-747237600
America/Whitehorse Canada/Yukon: -32400 YST; -28800 YDT*,YWT*@-880203600,YPT*@-769395600,PST@-121273200; -25200
  YDDT*,PDT*@325677600,MST@1604214000
America/Yakutat: -32400 YST,AKST@439030800; -28800 YWT*,YPT*@-769395600,YDT*@-21474000,AKDT*@452084400
Antarctica/Casey Antarctica/Davis Antarctica/DumontDUrville Antarctica/Mawson Antarctica/Rothera Antarctica/Syowa
  Antarctica/Vostok Indian/Kerguelen Pacific/Enderbury Pacific/Kanton: 0 -00
Antarctica/Macquarie: 0 -00; 36000 AEST; 39600 AEDT*
Antarctica/McMurdo: 0 -00; 43200 NZST; 46800 NZDT*
Antarctica/Palmer: -10800 *,@-7588800,*@403070400,@1480820400; -7200 *; 0 -00
Antarctica/South_Pole NZ Pacific/Auckland: 41400 NZMT; 43200 NZST*,NZST@-757425600; 45000 NZST*; 46800 NZDT*
Antarctica/Troll: 0 -00,@1108166400; 7200 *
Arctic/Longyearbyen Atlantic/Jan_Mayen Europe/Berlin: 3600 CET; 7200 CEST*; 10800 CEMT*
Asia/Almaty: 21600 ,*@670363200,@695768400; 25200 *
Asia/Amman: 7200 EET; 10800 EEST*,@1666908000
Asia/Anadyr: 43200 ,*@670341600,@695746800,*@1269698400,@1301151600; 46800 ,*@386420400; 50400 *
Asia/Aqtau: 18000 ,*@670366800,@695772000,*@796168800,@1099173600; 21600 ,*@386445600
Asia/Aqtobe: 18000 ,*@670366800,@695772000; 21600 *,@370720800,*@386445600
Asia/Ashgabat Asia/Ashkhabad: 18000 ,*@670366800,@695772000; 21600 *
Asia/Atyrau: 18000 ,*@670366800,@695772000,*@922568400,@1099173600; 21600 ,*@386445600
Asia/Baghdad: 10656 BMT; 14400 *
Asia/Baku: 14400 ,*@670370400,@717548400; 18000 *
Asia/Bangkok: 24124 LMT,BMT@-2840164924
Asia/Barnaul: 25200 ,*@670359600,@695764800,*@801590400,@1301169600; 28800 *
Asia/Bishkek: 21600 ,*@670363200,@1123783200; 25200 *
Asia/Calcutta Asia/Kolkata: 19270 MMT; 19800 IST; 21200 HMT; 23400 *
Asia/Chita Asia/Yakutsk: 32400 ,*@670352400,@695757600; 36000 *,@1301158800
Asia/Choibalsan Asia/Ulaanbaatar Asia/Ulan_Bator: 32400 *
Asia/Chongqing Asia/Chungking Asia/Harbin Asia/Shanghai PRC: 28800 CST; 32400 CDT*
Asia/Colombo: 19172 MMT; 21600 *,@846266400; 23400 *,@832962600
Asia/Dacca Asia/Dhaka: 21200 HMT; 25200 *
Asia/Damascus: 7200 EET; 10800 EEST*,@1666904400
Asia/Dushanbe Asia/Tashkent: 21600 ,*@670363200; 25200 *
Asia/Famagusta: 7200 EET; 10800 EEST*,@1473282000,EEST*@1521939600
Asia/Gaza Asia/Hebron: 7200 EET,IST@-81313200,EET@820447200; 10800 EEST*,IDT*@142380000,EEST*@828655200
Asia/Ho_Chi_Minh Asia/Saigon: 25590 LMT,PLMT@-2004073590
Asia/Hong_Kong Hongkong: 28800 HKT; 30600 HKWT*; 32400 HKST*,JST@-884248200,HKST*@-747907200
Asia/Hovd: 28800 *
Asia/Irkutsk: 25025 LMT,IMT@-2840165825; 28800 ,*@670356000,@695761200; 32400 *,@1301162400
Asia/Istanbul Europe/Istanbul Turkey: 7016 IMT; 7200 EET; 10800 EEST*,@267915600,EEST*@482799600,@1473195600; 14400
  *
Asia/Jakarta: 25200 WIB; 25632 LMT,BMT@-3231299232
Asia/Jayapura: 32400 ,WIT@-189423000
Asia/Jerusalem Asia/Tel_Aviv Israel: 7200 IST; 8440 JMT; 10800 IDT*; 14400 IDDT*
Asia/Kamchatka: 43200 ,*@670341600,@695746800,*@1269698400,@1301151600; 46800 *
Asia/Karachi: 18000 ,PKT@38775600; 21600 PKST*; 23400 *
Asia/Khandyga: 32400 ,*@670352400,@695757600; 36000 *,@1072882800; 39600 *,@1301155200
Asia/Krasnoyarsk: 25200 ,*@670359600,@695764800; 28800 *,@1301166000
Asia/Kuala_Lumpur: 24925 SMT; 26400 *,@-1073028000
Asia/Kuching: 30000 *
Asia/Macao Asia/Macau: 28800 CST; 32400 ,CDT*@-747046800; 36000 *
Asia/Magadan Asia/Srednekolymsk Asia/Ust-Nera: 39600 ,*@670345200,@695750400; 43200 *,@1301151600
Asia/Makassar Asia/Ujung_Pandang: 28656 LMT,MMT@-1577951856; 28800 ,WITA@-766054800
Asia/Manila: 28800 PST; 32400 PDT*,JST@-880016400,PDT*@-783594000
Asia/Novokuznetsk: 25200 ,*@670359600,@695764800,*@1269716400,@1301169600; 28800 *
Asia/Novosibirsk: 25200 ,*@670359600,@695764800,*@738086400,@1301169600; 28800 *
Asia/Omsk: 21600 ,*@670363200,@695768400; 25200 *,@1301169600
Asia/Oral: 18000 ,*@606862800,@695772000,*@701816400,@1099173600; 21600 *,@370720800,*@386445600
Asia/Phnom_Penh Asia/Vientiane: 25590 PLMT
Asia/Pontianak: 25200 WIB; 26240 LMT,PMT@-1946186240; 28800 ,WITA@-189415800
Asia/Pyongyang: 30600 KST; 32400 JST,KST@-768646800
Asia/Qostanay: 18000 ,*@670366800,@695772000; 21600 *,@370720800,*@386445600,@1099170000
Asia/Qyzylorda: 18000 ,*@670366800,@686095200; 21600 *,@370720800,*@386445600,@695768400,*@701812800,@1099170000
Asia/Rangoon Asia/Yangon: 23087 LMT,RMT@-2840163887
Asia/Sakhalin: 39600 ,*@670345200,@695750400,*@859647600,@1301155200; 43200 *
Asia/Samarkand: 21600 *,@370720800,*@386445600
Asia/Seoul ROK: 30600 KST; 32400 JST,KST@-767350800; 34200 KDT*; 36000 KDT*
Asia/Singapore Singapore: 24925 LMT,SMT@-2177477725; 26400 *,@-1073028000
Asia/Taipei ROC: 28800 CST; 32400 JST,CDT*@-745833600
Asia/Tbilisi: 10751 LMT,TBMT@-2840151551; 14400 ,*@670370400,@780436800,*@1088276400,@1111878000; 18000 *
Asia/Tehran Iran: 12344 LMT,TMT@-1704165944; 16200 *; 18000 *
Asia/Tokyo Japan: 32400 JST; 36000 JDT*
Asia/Tomsk: 25200 ,*@670359600,@695764800,*@1020193200,@1301169600; 28800 *
Asia/Vladivostok: 36000 ,*@670348800,@695754000; 39600 *,@1301155200
Asia/Yekaterinburg: 13505 PMT; 18000 ,*@670366800,@695772000; 21600 *,@1301173200
Asia/Yerevan: 14400 ,*@670370400,@811897200; 18000 *
Atlantic/Azores: -6872 HMT; -3600 *,@-102542400; 0 *,WET@725421600,*@740278800; 3600 WEST*
Atlantic/Bermuda: -15558 LMT,BMT@-2524506042; -14400 AST; -11958 BST*; -10800 ADT*
Atlantic/Canary Atlantic/Faeroe Atlantic/Faroe WET: 0 WET; 3600 WEST*
Atlantic/Cape_Verde: -3600 *,@186120000
Atlantic/Madeira: -4056 LMT,FMT@-2713906344; 0 *,WET@-102546000; 3600 *,WEST*@386726400
Atlantic/Reykjavik: 0 *,GMT@-54770400
Atlantic/St_Helena: -1368 LMT,JMT@-2524520232; 0 GMT
Atlantic/Stanley: -13884 LMT,SMT@-2524507716; -10800 *,@420609600,*@495601200,@1283666400; -7200 *
Australia/ACT Australia/Brisbane Australia/Canberra Australia/Currie Australia/Hobart Australia/Lindeman
  Australia/Melbourne Australia/NSW Australia/Queensland Australia/Sydney Australia/Tasmania Australia/Victoria:
  36000 AEST; 39600 AEDT*
Australia/Adelaide Australia/Darwin Australia/North Australia/South: 32400 ACST; 34200 ACST; 37800 ACDT*
Australia/Broken_Hill Australia/Yancowinna: 32400 ACST; 34200 ACST; 36000 AEST; 37800 ACDT*
Australia/Eucla: 35100 *
Australia/LHI Australia/Lord_Howe: 36000 AEST; 39600 *; 41400 *
Australia/Perth Australia/West: 28800 AWST; 32400 AWDT*
CET Europe/Belgrade Europe/Budapest Europe/Ljubljana Europe/Malta Europe/Oslo Europe/Podgorica Europe/Sarajevo
  Europe/Skopje Europe/Tirane Europe/Vaduz Europe/Vienna Europe/Zagreb: 3600 CET; 7200 CEST*
CST6CDT: -21600 CST; -18000 CDT*,CWT*@-880214400,CPT*@-769395600,CDT*@-84384000
Chile/EasterIsland Pacific/Easter: -26248 LMT,EMT@-2524495352; -21600 *,@384922800; -18000 *
EST: -18000 EST
EST5EDT: -18000 EST; -14400 EDT*,EWT*@-880218000,EPT*@-769395600,EDT*@-84387600
Eire Europe/Dublin: -1521 LMT,DMT@-2821649679; 0 GMT,GMT*@57722400; 2079 IST*; 3600
  BST*,IST*@-1507500000,IST@-37242000
Etc/UCT Etc/UTC Etc/Universal Etc/Zulu UCT UTC Universal Zulu: 0 UTC
Europe/Amsterdam: 1172 LMT,AMT@-4260212372; 3600 CET; 4772 NST*; 4800 *; 7200 CEST*
Europe/Andorra: 0 WET; 3600 CET; 7200 CEST*
Europe/Astrakhan: 14400 ,*@606866400,@670374000,*@701820000,@1301180400; 18000 *
Europe/Athens: 3600 CET; 5692 LMT,AMT@-2344642492; 7200 EET,CEST*@-904878000,EET@-812422800; 10800 EEST*
Europe/Belfast Europe/Isle_of_Man Europe/London GB GB-Eire: 0 GMT; 3600 BST*,BST@-37242000,BST*@69818400; 7200 BDST*
Europe/Bratislava Europe/Prague: 0 GMT*; 3464 LMT,PMT@-3786829064; 3600 CET; 7200 CEST*
Europe/Brussels: 0 WET; 1050 LMT,BMT@-2840141850; 3600 CET,WEST*@-1604278800,CET@-857257200; 7200 CEST*
Europe/Bucharest: 6264 LMT,BMT@-2469404664; 7200 EET; 10800 EEST*
Europe/Busingen Europe/Zurich: 1786 BMT; 3600 CET; 7200 CEST*
Europe/Chisinau Europe/Tiraspol: 3600 CET; 6264 BMT; 6900 CMT; 7200 EET,CEST*@-898138800,EET@654652800; 10800
  EEST*,MSK@-800157600,EEST*@641944800; 14400 MSD*
Europe/Copenhagen: 3020 LMT,CMT@-2524524620; 3600 CET; 7200 CEST*
Europe/Gibraltar: 0 GMT; 3600 BST*,CET@-401320800; 7200 BDST*,CEST*@386125200
Europe/Guernsey Europe/Jersey: 0 GMT; 3600 BST*,CET@-857257200,BST*@-772066800,BST@-37242000,BST*@69818400; 7200
  CEST*,BDST*@-777952800
Europe/Helsinki Europe/Mariehamn: 5989 LMT,HMT@-2890258789; 7200 EET; 10800 EEST*
Europe/Kaliningrad: 3600 CET; 7200 CEST*,EET@-780372000; 10800 EEST*,MSK@-749095200,EEST*@606870000,@1301184000;
  14400 MSD*
Europe/Kiev Europe/Kyiv Europe/Uzhgorod Europe/Zaporozhye: 3600 CET; 7200 EET,CEST*@-892522800,EET@686102400; 7324
  LMT,KMT@-2840148124; 10800 MSK,EEST*@646783200; 14400 MSD*
Europe/Kirov: 10800 ,MSK@622594800; 14400 ,MSD*@606866400,@670374000,MSD*@701820000,MSK@1301180400; 18000 *
Europe/Lisbon Portugal: 0 WET; 3600 WEST*,CET@-102549600,WEST*@228268800,CET@717555600,WEST*@828234000; 7200
  WEMT*,CEST*@733280400
Europe/Luxembourg: 0 WET; 3600 CET,WEST*@-1604278800,WET@-857257200,CET@-797986800; 7200
  CEST*,WEST*@-935186400,CEST*@-781052400
Europe/Madrid: 0 WET; 3600 WEST*,CET@-940208400; 7200 WEMT*,CEST*@-873079200
Europe/Minsk: 3600 CET; 6600 MMT; 7200 EET,CEST*@-899780400,EET@686102400; 10800 MSK,EEST*@670374000,@1301184000;
  14400 MSD*
Europe/Monaco: 0 WET; 561 PMT; 3600 WEST*,CET@-766623600; 7200 WEMT*,CEST*@196819200
Europe/Moscow W-SU: 7200 EET; 9017 LMT,MMT@-2840149817; 9079 MMT; 10800 MSK,EEST*@670374000,MSK@695779200; 12679
  MST*; 14400 MSD*,MSK@1301180400; 16279 MDST*; 18000 *
Europe/Paris: 0 WET; 561 LMT,PMT@-2486592561; 3600 WEST*,CET@-857257200,WEST*@-796266000,CET@-766623600; 7200
  CEST*,WEMT*@-800071200,CEST*@196819200
Europe/Riga: 3600 CET; 5794 LMT,RMT@-2840146594; 7200 EET,CEST*@-899521200,EET@622598400; 9394 LST*; 10800
  MSK,EEST*@606870000; 14400 MSD*
Europe/Rome Europe/San_Marino Europe/Vatican: 2996 LMT,RMT@-3252098996; 3600 CET; 7200 CEST*
Europe/Samara: 10800 ,*@670374000,@686102400; 14400 ,*@606866400,@687916800,*@1269727200,@1301180400; 18000 *
Europe/Saratov: 14400 ,*@575416800,@670374000,*@701820000,@1301180400; 18000 *
Europe/Simferopol: 3600 CET; 7200 EET,CEST*@-888894000,EET@646786800; 8160 SMT; 10800
  MSK,EEST*@701827200,MSK@780447600,EEST*@859683600,MSK@1414274400; 14400 MSD*,MSK@1396137600
Europe/Sofia: 3600 CET; 7016 IMT; 7200 EET,CEST*@-844556400,EET@-781048800; 10800 EEST*
Europe/Stockholm: 3600 CET; 3614 SET; 7200 CEST*
Europe/Tallinn: 3600 CET; 5940 LMT,TMT@-2840146740; 7200 CEST*,EET@-1535938740,CEST*@-892954800,EET@622598400; 10800
  MSK,EEST*@606870000; 14400 MSD*
Europe/Ulyanovsk: 10800 ,*@670374000,@695779200; 14400 ,*@606866400,@1301180400; 18000 *
Europe/Vilnius: 3600 CET; 5040 WMT; 5736 KMT; 7200 EET,CEST*@-900126000,EET@622598400,CEST*@891133200,EET@941331600;
  10800 MSK,EEST*@606870000; 14400 MSD*
Europe/Volgograd: 10800 ,MSK@591145200; 14400 ,MSD*@575416800,@670374000,MSD*@701820000,MSK@1301180400,@1540681200;
  18000 *
Europe/Warsaw Poland: 3600 CET; 5040 LMT,WMT@-2840145840; 7200 CEST*,EET@-1618700400,CEST*@-931734000; 10800 EEST*
HST: -36000 HST
Indian/Antananarivo: 10800 EAT; 14400 EAST*
Indian/Maldives: 17640 LMT,MMT@-2840158440
Indian/Mauritius: 18000 *
MET: 3600 MET; 7200 MEST*
MST: -25200 MST
MST7MDT: -25200 MST; -21600 MDT*,MWT*@-880210800,MPT*@-769395600,MDT*@-84380400
NZ-CHAT Pacific/Chatham: 49500 *
PST8PDT: -28800 PST; -25200 PDT*,PWT*@-880207200,PPT*@-769395600,PDT*@-84376800
Pacific/Apia: -36000 *; 50400 *
Pacific/Bougainville Pacific/Port_Moresby Pacific/Truk Pacific/Yap: 35312 PMMT
Pacific/Efate Pacific/Noumea: 43200 *
Pacific/Fiji: 46800 *
Pacific/Galapagos: -18000 ,*@722930400
Pacific/Guam Pacific/Saipan: 36000 GST,ChST@977493600; 39600 GDT*
Pacific/Honolulu Pacific/Johnston US/Hawaii: -37800 HST; -36000 HST; -34200 HDT*,HWT*@-880198200,HPT*@-769395600
Pacific/Midway: -39600 ,SST@-420645600; -36000 *
Pacific/Norfolk: 43200 *; 45000 *
Pacific/Pago_Pago Pacific/Samoa US/Samoa: -39600 SST
Pacific/Rarotonga: -34200 *
Pacific/Tongatapu: 50400 *
`

/** One abbreviation an offset has had: from Unix second `from` on (-Infinity for the first). */
export interface AbbreviationSpan {
  readonly from: number
  readonly text: string
  readonly isDst: boolean
}

export interface ZoneEntry {
  /** As the tz database spells it. */
  readonly name: string
  /** By offset in seconds east. */
  readonly abbreviations: ReadonlyMap<number, readonly AbbreviationSpan[]>
}

const pad = (n: number): string => (n < 10 ? `0${n}` : `${n}`)

/** The abbreviation of a zone that has none: '+03', '-0330', '+051530'. */
export function numericAbbreviation(offset: number): string {
  const seconds = Math.abs(offset)
  const minutes = Math.floor((seconds % 3600) / 60)
  const rest = seconds % 60
  const tail = rest > 0 ? pad(minutes) + pad(rest) : minutes > 0 ? pad(minutes) : ''
  return `${offset < 0 ? '-' : '+'}${pad(Math.floor(seconds / 3600))}${tail}`
}

function parseSpans(text: string): Map<number, readonly AbbreviationSpan[]> {
  const byOffset = new Map<number, readonly AbbreviationSpan[]>()
  for (const part of text.split('; ')) {
    if (part === '') continue
    const space = part.indexOf(' ')
    const offset = Number(part.slice(0, space))
    const spans = part
      .slice(space + 1)
      .split(',')
      .map((item): AbbreviationSpan => {
        const [label = '', from] = item.split('@')
        const letters = label.replace('*', '')
        return {
          from: from === undefined ? -Infinity : Number(from),
          text: letters === '' ? numericAbbreviation(offset) : letters,
          isDst: label.endsWith('*'),
        }
      })
    byOffset.set(offset, spans)
  }
  return byOffset
}

let zones: Map<string, ZoneEntry> | undefined

/** All zones by lower-case name; read from the text above on first use. */
export function zoneTable(): ReadonlyMap<string, ZoneEntry> {
  if (zones === undefined) {
    zones = new Map()
    for (const line of ZONES.trim().replaceAll('\n  ', ' ').split('\n')) {
      const colon = line.indexOf(':')
      const abbreviations = parseSpans(line.slice(colon + 1).trim())
      for (const name of line.slice(0, colon).split(' ')) zones.set(name.toLowerCase(), { name, abbreviations })
    }
  }
  return zones
}
